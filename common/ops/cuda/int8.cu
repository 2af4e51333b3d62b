// Rows of int8, both ways: a block of threads a row.
#include "ops/cuda/quantization.cuh"
#include "ops/cuda/quantization.h"
#include "ops/cuda/timeline.h"

namespace qlora::cuda {
namespace {

constexpr int kThreads = 256;

// absmax (N) = max |x| over a row of x (N,K), rounded to float16; q (N,K) = round(x · (127 ·
// (1 / absmax))), ties to even, 0 for a NaN (quantization/absmax_int8.h)
template <typename T>
__global__ void __launch_bounds__(kThreads)
    quantize(const T* x, std::int64_t K, bool wide, std::int8_t* q, float* absmax) {
  constexpr int N = kWide<T>;
  const std::int64_t row = blockIdx.x;
  x += row * K;
  q += row * K;
  const auto half_of = [](T value) { return to_float(from_float<__half>(to_float(value))); };

  float largest = 0.0f;
  for (std::int64_t k = threadIdx.x * N; k < K; k += kThreads * N) {
    const auto part = load_part<N>(x, k, K, wide);
#pragma unroll
    for (int e = 0; e < N; ++e) largest = fmaxf(largest, fabsf(half_of(part.value[e])));
  }
  largest = flush(block_largest<kThreads>(largest));
  if (threadIdx.x == 0) absmax[row] = largest;

  const float to_127 = __fmul_rn(127.0f, block_reciprocal(largest));
  for (std::int64_t k = threadIdx.x * N; k < K; k += kThreads * N) {
    const auto part = load_part<N>(x, k, K, wide);
    Vector<std::int8_t, N> rounded;
#pragma unroll
    for (int e = 0; e < N; ++e) {
      // 0 · inf and inf · 0 are NaN, which becomes 0
      const int scaled = __float2int_rn(__fmul_rn(half_of(part.value[e]), to_127));
      rounded.value[e] = static_cast<std::int8_t>(scaled);
    }
    store_part(q, k, K, wide, rounded);
  }
}

// out (N,ld): out[n, k] = q[n, k] · absmax[n] · (1 / 127), rounded after each product
template <typename T>
__global__ void __launch_bounds__(kThreads)
    dequantize(const std::int8_t* q, const float* absmax, std::int64_t K, std::int64_t ld,
               bool wide, T* out) {
  constexpr int N = kWide<T>;
  const std::int64_t row = blockIdx.x;
  q += row * K;
  out += row * ld;
  const float scale = absmax[row];
  for (std::int64_t k = threadIdx.x * N; k < K; k += kThreads * N) {
    const auto part = load_part<N>(q, k, K, wide);
    Vector<T, N> y;
#pragma unroll
    for (int e = 0; e < N; ++e) {
      const float value = __fmul_rn(static_cast<float>(part.value[e]), scale);
      y.value[e] = from_float<T>(__fmul_rn(value, 1.0f / 127.0f));
    }
    store_part(out, k, K, wide, y);
  }
}

// Whether every row begins where 16 bytes of values do, and the bytes of their integers.
bool is_wide(const Tensor& values, std::int64_t ld, const Tensor& codes) {
  const auto N = static_cast<std::int64_t>(16 / size_of(values.dtype()));
  return is_aligned(values.raw(), 16) && ld % N == 0 && codes.dim(1) % N == 0 &&
         is_aligned(codes.raw(), static_cast<std::size_t>(N));
}

}  // namespace

void quantize_int8(const Tensor& weight, const Int8Tensor& t) {
  const std::int64_t K = weight.dim(1);
  if (weight.dim(0) == 0) return;
  on_element(weight, "quantize_int8", [&]<typename T>(T) {
    quantize<T><<<static_cast<unsigned>(weight.dim(0)), kThreads, 0, stream()>>>(
        elements<T>(weight), K, is_wide(weight, K, t.codes), elements<std::int8_t>(t.codes),
        elements<float>(t.absmax));
  });
  check_launch("quantize_int8");
}

void dequantize_int8(const Int8Tensor& t, const Tensor& out) {
  const Timed timed(ops::Part::dequantize);
  const std::int64_t ld = out.dim(1);
  if (t.codes.numel() == 0) return;
  on_element(out, "dequantize_int8", [&]<typename T>(T) {
    dequantize<T><<<static_cast<unsigned>(t.codes.dim(0)), kThreads, 0, stream()>>>(
        elements<std::int8_t>(t.codes), elements<float>(t.absmax), t.codes.dim(1), ld,
        is_wide(out, ld, t.codes), elements<T>(out));
  });
  check_launch("dequantize_int8");
}

}  // namespace qlora::cuda
