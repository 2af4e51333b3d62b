// Quantization on the GPU: tensors into 4 and 8 bits and back, the same bits as the units of
// quantization/ give. All work is put on cuda::stream(), and nothing here waits for it.
#pragma once

#include "core/arena.h"
#include "quantization/eight_bit_tensor.h"
#include "quantization/quantized_tensor.h"

namespace qlora::cuda {

/// See ops::dequantize_4bit. q's tensors and out, float32, bfloat16 or float16, lie on the device.
void dequantize_4bit(const QuantizedTensor& q, const Tensor& out);

/// Codes and maxima of x, float32, bfloat16 or float16, into the tensors of q, which are there in
/// their sizes; q's type, blocksize and nested_blocksize are used, and nested_code is the map.
/// @param arena  scratch, which must stay until the stream is through
/// @return with double quantization the offset, F32 [1] on the device, out of the arena: q.offset
///         is the caller's to set; else an empty tensor
Tensor quantize_4bit(const Tensor& x, const QuantizedTensor& q, Arena& arena);

/// codes, absmax (blocks) = blockwise8(x - offset), see quantization/blockwise8.h.
/// @param offset  F32 [1], or an empty tensor for 0
/// @param map     F32 [256], ascending
void quantize_blockwise8(const Tensor& x, const Tensor& offset, const Tensor& map,
                         std::int64_t blocksize, const Tensor& codes, const Tensor& absmax);

/// See ops::dequantize_blockwise8.
void dequantize_blockwise8(const Blockwise8Tensor& t, const Tensor& out);

/// The weight (N,K), rounded to float16 first, into t's codes and maxima; see
/// quantization/eight_bit_tensor.h.
void quantize_int8(const Tensor& weight, const Int8Tensor& t);

/// See ops::dequantize_int8.
void dequantize_int8(const Int8Tensor& t, const Tensor& out);

}  // namespace qlora::cuda
