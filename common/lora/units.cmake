qlora_folder(NAME lora LINKS core quantization UNITS)
