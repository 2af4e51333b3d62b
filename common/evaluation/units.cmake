qlora_folder(NAME evaluation LINKS core quantization lora checkpoint text ops llama training
  UNITS metrics.cpp predictors.cpp answers.cpp report.cpp)
