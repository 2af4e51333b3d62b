qlora_folder(NAME llama LINKS core quantization lora checkpoint text ops UNITS)
