#include "quantization/eight_bit_tensor.h"

#include <algorithm>

#include "core/error.h"
#include "quantization/absmax_int8.h"
#include "quantization/blockwise8.h"
#include "quantization/dynamic_map.h"

namespace qlora {
Int8Tensor quantize_int8(const Tensor& weight) {
  require(weight.rank() == 2 && is_floating(weight.dtype()), "quantize_int8",
          "a floating-point matrix");
  const Tensor half = weight.to(DType::f16).to(DType::f32);
  Int8Tensor t{Tensor::empty(DType::i8, weight.shape()),
               Tensor::empty(DType::f32, {weight.dim(0)})};
  quantize_rowwise_int8(half.span<float>(), weight.dim(0), weight.dim(1),
                        t.codes.span<std::int8_t>(), t.absmax.span<float>());
  return t;
}

void dequantize_int8(const Int8Tensor& t, float* out) {
  dequantize_rowwise_int8(t.codes.span<std::int8_t>(), t.absmax.span<float>(), t.codes.dim(0),
                          t.codes.dim(1), {out, static_cast<std::size_t>(t.codes.numel())});
}

Blockwise8Tensor quantize_blockwise8(const Tensor& x, std::int64_t blocksize) {
  require(is_floating(x.dtype()) && blocksize > 0, "quantize_blockwise8",
          "a floating-point tensor and a block size above zero");
  const Tensor floats = x.to(DType::f32);
  Blockwise8Tensor t{blocksize, Tensor::empty(DType::u8, x.shape()),
                     Tensor::empty(DType::f32, {(x.numel() + blocksize - 1) / blocksize}),
                     Tensor::empty(DType::f32, {256})};
  std::ranges::copy(create_dynamic_map(), t.map.data<float>());
  quantize_blockwise8(floats.span<float>(), t.map.span<float>(), blocksize,
                      t.codes.span<std::uint8_t>(), t.absmax.span<float>());
  return t;
}

Tensor dequantize_blockwise8(const Blockwise8Tensor& t) {
  const Tensor x = Tensor::empty(DType::f32, t.codes.shape());
  dequantize_blockwise8(t.codes.span<std::uint8_t>(), t.map.span<float>(), t.absmax.span<float>(),
                        t.blocksize, x.span<float>());
  return x;
}

}  // namespace qlora
