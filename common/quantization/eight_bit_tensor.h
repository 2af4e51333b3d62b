// Tensors in 8 bits, as bitsandbytes holds them: rows of int8, and blocks of dynamic 8-bit codes.
#pragma once

#include "core/tensor.h"

namespace qlora {

/// A matrix in rows of int8 (quantization/absmax_int8.h, llm_int8.h): the weight of Linear8bitLt.
struct Int8Tensor {
  Tensor codes;   ///< I8 (N,K)
  Tensor absmax;  ///< F32 [N], "SCB"

  /// Bytes of codes and maxima.
  std::size_t nbytes() const { return codes.nbytes() + absmax.nbytes(); }
};

/// Quantizes a floating-point matrix (N,K) row by row, rounded to float16 first, as bitsandbytes
/// does when a Linear8bitLt is moved to its device.
/// @throws std::invalid_argument if it is no floating-point matrix
Int8Tensor quantize_int8(const Tensor& weight);

/// codes * absmax / 127 in float32, N·K values at `out`.
void dequantize_int8(const Int8Tensor& t, float* out);

/// Any tensor in blocks with a dynamic map (quantization/blockwise8.h).
struct Blockwise8Tensor {
  std::int64_t blocksize = 4096;  ///< elements that share an absmax
  Tensor codes;                   ///< U8, the shape of the values
  Tensor absmax;                  ///< F32 [blocks]
  Tensor map;                     ///< F32 [256], "quant_map"
};

/// @throws std::invalid_argument if the tensor is not floating-point
Blockwise8Tensor quantize_blockwise8(const Tensor& x, std::int64_t blocksize);

/// The values in float32.
Tensor dequantize_blockwise8(const Blockwise8Tensor& t);

}  // namespace qlora
