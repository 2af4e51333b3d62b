#include "quantization/quantized_tensor.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <string>

#include "core/parallel.h"
#include "quantization/double_quantization.h"
#include "quantization/dynamic_map.h"
#include "quantization/fp4.h"
#include "quantization/nf4.h"
#include "quantization/rounding.h"

namespace qlora {
namespace {

// Elements that a thread handles at a time: whole blocks (no block is longer), and few enough to
// stay in its first-level cache.
constexpr std::int64_t kPiece = 4096;
constexpr std::int64_t kPiecesAThread = 16;  // at least; fewer are not worth another thread

bool is_blocksize(std::int64_t blocksize) {
  return blocksize >= 32 && blocksize <= kPiece &&
         std::has_single_bit(static_cast<std::uint64_t>(blocksize));
}

// Calls f(first element, elements) for the pieces of n elements, spread over the threads.
template <typename F>
void for_each_piece(std::int64_t n, F&& f) {
  parallel_for((n + kPiece - 1) / kPiece, kPiecesAThread, [&](std::int64_t from, std::int64_t to) {
    for (std::int64_t p = from; p < to; ++p) f(p * kPiece, std::min(kPiece, n - p * kPiece));
  });
}

template <typename T>
std::span<T> part(const Tensor& t, std::int64_t begin, std::int64_t count) {
  return t.span<T>().subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(count));
}

// Elements [begin, begin + count) as float32: the tensor's own where it is float32, else widened
// into `buffer`.
std::span<const float> as_float(const Tensor& x, std::int64_t begin, std::int64_t count,
                                std::span<float> buffer) {
  const auto widen = [&]<typename T>(std::span<T> from, auto&& convert) {
    std::transform(from.begin(), from.end(), buffer.begin(), convert);
    return std::span<const float>(buffer.first(from.size()));
  };
  switch (x.dtype()) {
    case DType::f32:
      return part<float>(x, begin, count);
    case DType::f16:
      return widen(part<Half>(x, begin, count), [](Half h) { return to_float(h); });
    case DType::bf16:
      return widen(part<BFloat16>(x, begin, count), [](BFloat16 b) { return to_float(b); });
    default:
      return widen(part<double>(x, begin, count), [](double d) { return static_cast<float>(d); });
  }
}

const Codebook& codebook_of(QuantType type) {
  return type == QuantType::nf4 ? kNf4Code : kFp4Code;
}

// quant_map as bitsandbytes writes it: FP4's code 8 is a plain zero there, although its kernel
// knows a negative one.
Tensor quant_map(QuantType type) {
  Tensor map = Tensor::from<float>(codebook_of(type), {16});
  for (float& value : map.span<float>()) value = value == 0.0f ? 0.0f : value;
  return map;
}

// Calls f(first block, blocks, their nested_absmax) for runs of whole nested blocks, spread over
// the threads.
template <typename F>
void for_each_group(const QuantizedTensor& q, F&& f) {
  parallel_for(q.nested_absmax.numel(), kPiecesAThread, [&](std::int64_t from, std::int64_t to) {
    const std::int64_t begin = from * q.nested_blocksize;
    const std::int64_t end = to == q.nested_absmax.numel() ? q.blocks() : to * q.nested_blocksize;
    f(begin, end - begin, q.nested_absmax.rows(from, to));
  });
}

void double_quantize(QuantizedTensor& q) {
  const Tensor absmax = q.absmax;
  const std::int64_t blocks = absmax.numel();
  q.offset = absmax_offset(absmax.span<float>());
  q.nested_code = Tensor::from<float>(create_dynamic_map(), {256});
  q.nested_absmax =
      Tensor::empty(DType::f32, {(blocks + q.nested_blocksize - 1) / q.nested_blocksize});
  q.absmax = Tensor::empty(DType::u8, {blocks});
  for_each_group(q, [&](std::int64_t begin, std::int64_t count, const Tensor& nested_absmax) {
    quantize_absmax(part<float>(absmax, begin, count), q.offset, q.nested_code.span<float>(),
                    q.nested_blocksize, part<std::uint8_t>(q.absmax, begin, count),
                    nested_absmax.span<float>());
  });
}

// The values in float32, rounded to q.dtype, piece by piece: f(first element, values). The values
// stand in `out` where there is one, else in a buffer.
template <typename F>
void dequantize_pieces(const QuantizedTensor& q, float* out, F&& f) {
  validate(q);
  require(q.packed.device() == Device::cpu, "dequantize_4bit", "host memory");
  const Tensor absmax = restored_absmax(q);
  const auto dequantize = q.type == QuantType::nf4 ? dequantize_nf4 : dequantize_fp4;
  for_each_piece(q.numel(), [&](std::int64_t begin, std::int64_t count) {
    std::array<float, kPiece> buffer;
    const std::span<float> values(out != nullptr ? out + begin : buffer.data(),
                                  static_cast<std::size_t>(count));
    dequantize(part<std::uint8_t>(q.packed, begin / 2, (count + 1) / 2),
               part<float>(absmax, begin / q.blocksize, (count + q.blocksize - 1) / q.blocksize),
               q.blocksize, values);
    round_to(q.dtype, values);
    f(begin, values);
  });
}

}  // namespace

std::string_view to_string(QuantType type) {
  return type == QuantType::nf4 ? "nf4" : "fp4";
}

std::size_t QuantizedTensor::nbytes() const {
  return packed.nbytes() + code.nbytes() + absmax.nbytes() + nested_absmax.nbytes() +
         nested_code.nbytes();
}

QuantizedTensor quantize_4bit(const Tensor& x, QuantType type, std::int64_t blocksize,
                              bool double_quant) {
  require(is_floating(x.dtype()), "quantize_4bit", "a floating-point tensor");
  require(x.device() == Device::cpu, "quantize_4bit", "host memory");
  require(is_blocksize(blocksize), "quantize_4bit", "a block size of 32, 64, … 4096");
  QuantizedTensor q;
  q.type = type;
  q.blocksize = blocksize;
  q.dtype = x.dtype() == DType::f64 ? DType::f32 : x.dtype();
  q.shape = x.shape();
  q.packed = Tensor::empty(DType::u8, {(x.numel() + 1) / 2, 1});
  q.code = quant_map(type);
  q.absmax = Tensor::empty(DType::f32, {q.blocks()});
  const auto quantize = type == QuantType::nf4 ? quantize_nf4 : quantize_fp4;
  for_each_piece(x.numel(), [&](std::int64_t begin, std::int64_t count) {
    std::array<float, kPiece> buffer;
    quantize(as_float(x, begin, count, buffer), blocksize,
             part<std::uint8_t>(q.packed, begin / 2, (count + 1) / 2),
             part<float>(q.absmax, begin / blocksize, (count + blocksize - 1) / blocksize));
  });
  if (double_quant) double_quantize(q);
  return q;
}

Tensor dequantize_4bit(const QuantizedTensor& q) {
  Tensor out = Tensor::empty(q.dtype, q.shape);
  switch (q.dtype) {
    case DType::f16:
      dequantize_pieces(q, nullptr, [&](std::int64_t begin, std::span<const float> values) {
        std::transform(values.begin(), values.end(), out.data<Half>() + begin, to_half);
      });
      return out;
    case DType::bf16:
      dequantize_pieces(q, nullptr, [&](std::int64_t begin, std::span<const float> values) {
        std::transform(values.begin(), values.end(), out.data<BFloat16>() + begin, to_bfloat16);
      });
      return out;
    default:
      dequantize_4bit(q, out.data<float>());
      return out;
  }
}

void dequantize_4bit(const QuantizedTensor& q, float* out) {
  dequantize_pieces(q, out, [](std::int64_t, std::span<const float>) {});
}

Tensor restored_absmax(const QuantizedTensor& q) {
  if (!q.nested()) return q.absmax;
  Tensor absmax = Tensor::empty(DType::f32, {q.blocks()});
  for_each_group(q, [&](std::int64_t begin, std::int64_t count, const Tensor& nested_absmax) {
    restore_absmax(part<std::uint8_t>(q.absmax, begin, count), q.nested_code.span<float>(),
                   nested_absmax.span<float>(), q.nested_blocksize, q.offset,
                   part<float>(absmax, begin, count));
  });
  return absmax;
}

void validate(const QuantizedTensor& q) {
  const auto check = [](bool holds, const char* what) { require(holds, "QuantizedTensor", what); };
  check(q.dtype == DType::f32 || q.dtype == DType::f16 || q.dtype == DType::bf16,
        "dtype: float32, float16 or bfloat16");
  check(is_blocksize(q.blocksize), "blocksize: a power of two, 32 … 4096");
  std::int64_t n = 1;
  for (const std::int64_t d : q.shape) {
    check(d >= 0 && !__builtin_mul_overflow(n, d, &n), "shape: dimensions whose product fits");
  }
  check(q.packed.dtype() == DType::u8 && q.packed.numel() == n / 2 + n % 2,
        "packed: a U8 tensor with one byte for every two elements");
  // The kernels know the values; a map that is far from them belongs to another type. (Files exist
  // whose map has four digits.)
  check(q.code.dtype() == DType::f32 && q.code.numel() == 16, "quant_map: 16 F32 values");
  if (q.code.device() == Device::cpu) {
    const Codebook& code = codebook_of(q.type);
    check(std::equal(code.begin(), code.end(), q.code.data<float>(),
                     [](float a, float b) { return std::abs(a - b) <= 1e-3f; }),
          "quant_map: the values of quant_type");
  }
  check(q.absmax.dtype() == DType::f32 || q.nested(), "absmax: an F32 or U8 tensor");
  check(q.absmax.numel() == q.blocks(), "absmax: one value a block");
  if (!q.nested()) return;
  check(q.nested_blocksize >= 1, "nested_blocksize: at least 1");
  const std::int64_t groups =
      q.blocks() / q.nested_blocksize + (q.blocks() % q.nested_blocksize != 0 ? 1 : 0);
  check(q.nested_absmax.dtype() == DType::f32 && q.nested_absmax.numel() == groups,
        "nested_absmax: one F32 value a nested block");
  check(q.nested_code.dtype() == DType::f32 && q.nested_code.numel() == 256,
        "nested_quant_map: 256 F32 values");
}

}  // namespace qlora
