qlora_folder(NAME quantization LINKS core
  UNITS affine.cpp calibration.cpp integer_product.cpp formats.cpp absmax_int8.cpp llm_int8.cpp
        fake_quantization.cpp straight_through.cpp block_absmax.cpp dynamic_map.cpp
        blockwise8.cpp codebook.cpp nf4.cpp fp4.cpp int4.cpp normal_quantiles.cpp
        quoted_quantiles.cpp double_quantization.cpp footprint.cpp rounding.cpp quantized_tensor.cpp
        eight_bit_tensor.cpp)
