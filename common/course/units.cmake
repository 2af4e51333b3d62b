qlora_folder(NAME course LINKS core UNITS)
