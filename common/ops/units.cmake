qlora_folder(NAME ops LINKS core quantization lora checkpoint text UNITS)
