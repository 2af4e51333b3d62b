qlora_folder(NAME text LINKS core quantization lora checkpoint UNITS LIBRARIES PkgConfig::SENTENCEPIECE)
