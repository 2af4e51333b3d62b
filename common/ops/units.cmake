qlora_folder(NAME ops LINKS core quantization lora checkpoint text
  UNITS ops.cpp embedding.cpp rms_norm.cpp rope.cpp attention.cpp swiglu.cpp linear.cpp
        cross_entropy.cpp head.cpp adamw.cpp)
