qlora_folder(NAME llama LINKS core quantization lora checkpoint text ops
  UNITS config.cpp rope_frequencies.cpp model.cpp placement.cpp weight_source.cpp adapters.cpp
        decoder_layer.cpp layer_inputs.cpp decoder.cpp sampling.cpp generation.cpp conversation.cpp
        load.cpp shapes.cpp module_tree.cpp activation_policy.cpp training_shape.cpp
        linear_replay.cpp step_memory.cpp memory_plan.cpp fake_quantization.cpp)
