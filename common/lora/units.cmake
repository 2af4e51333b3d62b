qlora_folder(NAME lora LINKS core quantization UNITS lora.cpp config.cpp target_modules.cpp
  LIBRARIES PkgConfig::PCRE2)
