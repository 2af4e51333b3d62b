qlora_folder(NAME evaluation LINKS core quantization lora checkpoint text ops llama training
  UNITS bootstrap.cpp metrics.cpp comparison.cpp predictors.cpp data.cpp answers.cpp report.cpp)
