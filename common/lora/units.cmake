qlora_folder(NAME lora LINKS core quantization
  UNITS lora.cpp dora.cpp combine.cpp config.cpp target_modules.cpp svd.cpp counting.cpp method_counts.cpp
  LIBRARIES PkgConfig::PCRE2)
