qlora_folder(NAME quantization LINKS core UNITS)
