// Quantizing and restoring tensors on whichever device they lie on: the same bits on both.
#pragma once

#include "quantization/eight_bit_tensor.h"
#include "quantization/quantized_tensor.h"

namespace qlora::ops {

/// The tensor on a device, with all that it consists of: see on(Device, const Tensor&).
QuantizedTensor on(Device device, const QuantizedTensor& q);
Int8Tensor on(Device device, const Int8Tensor& t);
Blockwise8Tensor on(Device device, const Blockwise8Tensor& t);

/// x in 4 bits, on x's device; see qlora::quantize_4bit. A GPU takes float32, bfloat16 and float16,
/// and its sum of the block maxima may be rounded to the other side of the CPU's, so that `offset`
/// is one unit in the last place off; the codes of the maxima follow from it. This waits for the
/// device where there is double quantization.
QuantizedTensor quantize_4bit(const Tensor& x, QuantType type, std::int64_t blocksize = 64,
                              bool double_quant = false);

/// out = the values of q, rounded to q.dtype and then to out's. With q of (N,K), out is (N,ld) with
/// ld >= K, and columns from K on are left alone; or out has q's shape.
void dequantize_4bit(const QuantizedTensor& q, const Tensor& out);

/// A weight (N,K) in rows of int8, on its device; see qlora::quantize_int8.
Int8Tensor quantize_int8(const Tensor& weight);

/// out (N,ld), ld >= K, = codes · absmax / 127 in its first K columns; the others are left alone.
void dequantize_int8(const Int8Tensor& t, const Tensor& out);

/// x in blocks of the dynamic 8-bit map, on x's device; see qlora::quantize_blockwise8.
Blockwise8Tensor quantize_blockwise8(const Tensor& x, std::int64_t blocksize);

/// out, of as many elements as t, = map[codes] · absmax.
void dequantize_blockwise8(const Blockwise8Tensor& t, const Tensor& out);

}  // namespace qlora::ops
