qlora_folder(NAME training LINKS core quantization lora checkpoint text ops llama UNITS)
