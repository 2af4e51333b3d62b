#include "ops/quantization.h"

#include <cstddef>
#include <cstring>

#include "ops/device.h"
#include "ops/device_memory.h"

#if QLORA_HAS_CUDA
#include "ops/cuda/device.h"
#include "ops/cuda/quantization.h"
#endif

namespace qlora::ops {
namespace {

// out (N,ld), its first columns = values (N,K) rounded to out's dtype.
void put_rows(const Tensor& values, std::int64_t rows, const Tensor& out) {
  if (rows == 0) return;
  const Tensor rounded = values.to(out.dtype());
  const std::size_t width = rounded.nbytes() / static_cast<std::size_t>(rows);
  const std::size_t ld = out.nbytes() / static_cast<std::size_t>(rows);
  const auto* from = static_cast<const std::byte*>(rounded.raw());
  auto* to = static_cast<std::byte*>(out.raw());
  for (std::int64_t r = 0; r < rows; ++r, from += width, to += ld) std::memcpy(to, from, width);
}

void require_rows(const Tensor& out, std::int64_t N, std::int64_t K, const char* op) {
  require(is_floating(out.dtype()) && out.rank() == 2 && out.dim(0) == N && out.dim(1) >= K, op,
          "a floating-point out (N,ld) with ld of at least K");
}

}  // namespace

QuantizedTensor on(Device device, const QuantizedTensor& q) {
  QuantizedTensor moved = q;
  for (Tensor* tensor :
       {&moved.packed, &moved.code, &moved.absmax, &moved.nested_absmax, &moved.nested_code}) {
    *tensor = on(device, *tensor);
  }
  return moved;
}

Int8Tensor on(Device device, const Int8Tensor& t) {
  return {on(device, t.codes), on(device, t.absmax)};
}

Blockwise8Tensor on(Device device, const Blockwise8Tensor& t) {
  return {t.blocksize, on(device, t.codes), on(device, t.absmax), on(device, t.map)};
}

#if QLORA_HAS_CUDA
namespace {

// What qlora::quantize_4bit would give, with room for it on the GPU.
QuantizedTensor quantize_on_gpu(const Tensor& x, QuantType type, std::int64_t blocksize,
                                bool double_quant) {
  require(is_floating(x.dtype()), "quantize_4bit", "a floating-point tensor");
  // The other checks and the maps are those of a tensor without elements.
  QuantizedTensor q = on(Device::cuda, qlora::quantize_4bit(Tensor::empty(DType::f32, {0}), type,
                                                            blocksize, double_quant));
  q.dtype = x.dtype();
  q.shape = x.shape();
  q.packed = empty_on(Device::cuda, DType::u8, {(x.numel() + 1) / 2, 1});
  q.absmax = empty_on(Device::cuda, double_quant ? DType::u8 : DType::f32, {q.blocks()});
  Arena arena = arena_on(Device::cuda);
  if (double_quant) {
    const std::int64_t groups = (q.blocks() + q.nested_blocksize - 1) / q.nested_blocksize;
    q.nested_absmax = empty_on(Device::cuda, DType::f32, {groups});
  }
  const Tensor offset = cuda::quantize_4bit(x, q, arena);
  if (offset) q.offset = *on(Device::cpu, offset).data<float>();
  return q;
}

}  // namespace
#endif

QuantizedTensor quantize_4bit(const Tensor& x, QuantType type, std::int64_t blocksize,
                              bool double_quant) {
#if QLORA_HAS_CUDA
  if (x.device() == Device::cuda) return quantize_on_gpu(x, type, blocksize, double_quant);
#endif
  return qlora::quantize_4bit(x, type, blocksize, double_quant);
}

void dequantize_4bit(const QuantizedTensor& q, const Tensor& out) {
  constexpr const char* op = "dequantize_4bit";
  validate(q);
  const bool is_flat = out.shape() == q.shape;
  if (!is_flat) {
    require(q.shape.size() == 2, op, "a matrix, or out of its shape");
    require_rows(out, q.shape[0], q.shape[1], op);
  }
  require(q.packed.device() == out.device(), op, "codes and values on one device");
  QLORA_ON_GPU(out, dequantize_4bit(q, out));
  const Tensor values = Tensor::empty(DType::f32, q.shape);
  qlora::dequantize_4bit(q, values.data<float>());
  put_rows(values, is_flat ? 1 : q.shape[0], out);
}

Int8Tensor quantize_int8(const Tensor& weight) {
#if QLORA_HAS_CUDA
  if (weight.device() == Device::cuda) {
    require(weight.rank() == 2 && is_floating(weight.dtype()), "quantize_int8",
            "a floating-point matrix");
    const Int8Tensor t{empty_on(Device::cuda, DType::i8, weight.shape()),
                       empty_on(Device::cuda, DType::f32, {weight.dim(0)})};
    cuda::quantize_int8(weight, t);
    return t;
  }
#endif
  return qlora::quantize_int8(weight);
}

void dequantize_int8(const Int8Tensor& t, const Tensor& out) {
  require_rows(out, t.codes.dim(0), t.codes.dim(1), "dequantize_int8");
  QLORA_ON_GPU(out, dequantize_int8(t, out));
  const Tensor values = Tensor::empty(DType::f32, t.codes.shape());
  qlora::dequantize_int8(t, values.data<float>());
  put_rows(values, out.dim(0), out);
}

Blockwise8Tensor quantize_blockwise8(const Tensor& x, std::int64_t blocksize) {
#if QLORA_HAS_CUDA
  if (x.device() == Device::cuda) {
    // The checks and the map are those of a tensor without elements.
    Blockwise8Tensor t = qlora::quantize_blockwise8(Tensor::empty(DType::f32, {0}), blocksize);
    t.map = on(Device::cuda, t.map);
    t.codes = empty_on(Device::cuda, DType::u8, x.shape());
    t.absmax = empty_on(Device::cuda, DType::f32, {(x.numel() + blocksize - 1) / blocksize});
    cuda::quantize_blockwise8(x, {}, t.map, blocksize, t.codes, t.absmax);
    return t;
  }
#endif
  return qlora::quantize_blockwise8(x, blocksize);
}

void dequantize_blockwise8(const Blockwise8Tensor& t, const Tensor& out) {
  require(is_floating(out.dtype()) && out.numel() == t.codes.numel(), "dequantize_blockwise8",
          "a floating-point out of as many elements");
  QLORA_ON_GPU(out, dequantize_blockwise8(t, out));
  put_rows(qlora::dequantize_blockwise8(t), 1, out);
}

}  // namespace qlora::ops
