// Block-wise 8 bits with a map of 256 values: a block of threads a block of elements, both ways.
#include "ops/cuda/quantization.cuh"
#include "ops/cuda/quantization.h"
#include "ops/cuda/timeline.h"

namespace qlora::cuda {
namespace {

constexpr int kThreads = 256;  // each brings one value of the map into shared memory

// absmax[b] = max |x - offset| of block b; codes[i] = nearest((x[i] - offset) · (1 / absmax[b]))
template <typename T>
__global__ void __launch_bounds__(kThreads)
    quantize(const T* x, const float* offset, const float* map, std::int64_t n,
             std::int64_t blocksize, bool wide, std::uint8_t* codes, float* absmax) {
  constexpr int N = kWide<T>;
  __shared__ float values[kThreads];
  values[threadIdx.x] = map[threadIdx.x];
  const float shift = offset == nullptr ? 0.0f : *offset;  // x - 0 is x, down to the sign of zero
  const std::int64_t begin = blockIdx.x * blocksize;
  const std::int64_t end = min(begin + blocksize, n);

  float largest = 0.0f;
  for (std::int64_t i = begin + threadIdx.x * N; i < end; i += kThreads * N) {
    const auto part = load_part<N>(x, i, end, wide);
#pragma unroll
    for (int e = 0; e < N; ++e) {
      if (i + e < end) largest = fmaxf(largest, fabsf(__fsub_rn(to_float(part.value[e]), shift)));
    }
  }
  largest = flush(block_largest<kThreads>(largest));
  if (threadIdx.x == 0) absmax[blockIdx.x] = largest;

  const float reciprocal = block_reciprocal(largest);
  for (std::int64_t i = begin + threadIdx.x * N; i < end; i += kThreads * N) {
    const auto part = load_part<N>(x, i, end, wide);
    Vector<std::uint8_t, N> nearest_codes;
#pragma unroll
    for (int e = 0; e < N; ++e) {
      const float value = flush(__fsub_rn(to_float(part.value[e]), shift));
      nearest_codes.value[e] =
          static_cast<std::uint8_t>(nearest_of_map(values, __fmul_rn(value, reciprocal)));
    }
    store_part(codes, i, end, wide, nearest_codes);
  }
}

// out[i] = map[codes[i]] · absmax[i / blocksize]
template <typename T>
__global__ void __launch_bounds__(kThreads)
    dequantize(const std::uint8_t* codes, const float* map, const float* absmax, std::int64_t n,
               std::int64_t blocksize, bool wide, T* out) {
  constexpr int N = kWide<T>;
  __shared__ float values[kThreads];
  values[threadIdx.x] = map[threadIdx.x];
  __syncthreads();
  const float scale = absmax[blockIdx.x];
  const std::int64_t begin = blockIdx.x * blocksize;
  const std::int64_t end = min(begin + blocksize, n);
  for (std::int64_t i = begin + threadIdx.x * N; i < end; i += kThreads * N) {
    const auto part = load_part<N>(codes, i, end, wide);
    Vector<T, N> y;
#pragma unroll
    for (int e = 0; e < N; ++e) {
      y.value[e] = from_float<T>(flushed_product(values[part.value[e]], scale));
    }
    store_part(out, i, end, wide, y);
  }
}

// Whether every block begins where 16 bytes of values do, and the bytes of their codes.
bool is_wide(const Tensor& values, const Tensor& codes, std::int64_t blocksize) {
  const std::size_t N = 16 / size_of(values.dtype());
  return is_aligned(values.raw(), 16) && is_aligned(codes.raw(), N) &&
         blocksize % static_cast<std::int64_t>(N) == 0;
}

}  // namespace

void quantize_blockwise8(const Tensor& x, const Tensor& offset, const Tensor& map,
                         std::int64_t blocksize, const Tensor& codes, const Tensor& absmax) {
  if (x.numel() == 0) return;
  on_element(x, "quantize_blockwise8", [&]<typename T>(T) {
    quantize<T><<<static_cast<unsigned>(absmax.numel()), kThreads, 0, stream()>>>(
        elements<T>(x), elements<float>(offset), elements<float>(map), x.numel(), blocksize,
        is_wide(x, codes, blocksize), elements<std::uint8_t>(codes), elements<float>(absmax));
  });
  check_launch("quantize_blockwise8");
}

void dequantize_blockwise8(const Blockwise8Tensor& t, const Tensor& out) {
  const Timed timed(ops::Part::dequantize);
  if (out.numel() == 0) return;
  on_element(out, "dequantize_blockwise8", [&]<typename T>(T) {
    dequantize<T><<<static_cast<unsigned>(t.absmax.numel()), kThreads, 0, stream()>>>(
        elements<std::uint8_t>(t.codes), elements<float>(t.map), elements<float>(t.absmax),
        out.numel(), t.blocksize, is_wide(out, t.codes, t.blocksize), elements<T>(out));
  });
  check_launch("dequantize_blockwise8");
}

}  // namespace qlora::cuda
