qlora_folder(NAME checkpoint LINKS core quantization lora
  UNITS safetensors.cpp safetensors_writer.cpp tensor_files.cpp model_folder.cpp
    bitsandbytes.cpp bitsandbytes_config.cpp eight_bit.cpp peft_adapter.cpp peft_config.cpp
    conversion.cpp quantize_files.cpp combine_adapters.cpp merge_folder.cpp)
