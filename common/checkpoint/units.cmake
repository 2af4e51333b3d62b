qlora_folder(NAME checkpoint LINKS core quantization lora UNITS)
