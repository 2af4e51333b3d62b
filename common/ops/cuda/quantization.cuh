// What the quantizers' kernels share: float32 with subnormals flushed, as quantization/flush.h has
// it, the scale of a block, and wide accesses to rows that need not be whole.
#pragma once

#include <bit>
#include <type_traits>

#include "ops/cuda/numeric.cuh"
#include "quantization/flush.h"

namespace qlora::cuda {

/// x, or a zero of x's sign where x is subnormal.
__device__ inline float flush(float x) {
  const unsigned bits = __float_as_uint(x);
  return __uint_as_float((bits & 0x7f800000u) != 0 ? bits : bits & 0x80000000u);
}

/// fl(a * b) with subnormal operands and products flushed. What rounding may have lifted to the
/// smallest normal number is decided on the exact product, in double.
__device__ inline float flushed_product(float a, float b) {
  const float product = __fmul_rn(flush(a), flush(b));
  if (fabsf(product) > kSmallestNormal) return product;
  const double exact = static_cast<double>(flush(a)) * static_cast<double>(flush(b));
  return static_cast<float>(fabs(exact) < double{kSmallestNormal} ? exact * 0.0 : exact);
}

/// 1 / absmax, see quantization/block_absmax.h.
__device__ inline float block_reciprocal(float absmax) {
  return flush(__frcp_rn(absmax));
}

/// The largest of x >= 0 over a block of THREADS (whole warps), the same in every thread. Every
/// thread calls it, once in a kernel; it has a barrier.
template <int THREADS>
__device__ float block_largest(float x) {
  __shared__ float partial[THREADS / kWarp];
  x = warp_max(x);
  if (threadIdx.x % kWarp == 0) partial[threadIdx.x / kWarp] = x;
  __syncthreads();
  float largest = 0.0f;
  for (int w = 0; w < THREADS / kWarp; ++w) largest = fmaxf(largest, partial[w]);
  return largest;
}

/// The index of the value of a map (256) that is nearest to x; of two equally near the even one, 0
/// for a NaN. Seven halvings from 127 end on an even index with x between its value and that of an
/// odd neighbor, which is taken only where x is strictly nearer.
__device__ inline int nearest_of_map(const float* map, float x) {
  int pivot = 127, lower = 0, upper = 255;
#pragma unroll
  for (int step = 64; step > 0; step /= 2) {
    const bool above = x > map[pivot];
    lower = above ? pivot : lower;
    upper = above ? upper : pivot;
    pivot += above ? step : -step;
  }
  const float value = map[pivot];
  const bool above = x > value;
  const int neighbor = above ? upper : lower;
  const float midpoint = __fmul_rn(__fadd_rn(map[neighbor], value), 0.5f);
  const bool nearer = above ? x > midpoint : x < midpoint;
  return nearer ? neighbor : pivot;
}

/// The built-in type of so many bytes, for the intrinsics that are sure to become one access; the
/// assignment of a Vector that was made element by element is not.
template <int BYTES>
using Word = std::conditional_t<
    BYTES == 16, uint4,
    std::conditional_t<BYTES == 8, uint2,
                       std::conditional_t<BYTES == 4, unsigned, unsigned short>>>;

/// Elements [i, i + N) of p (n), which nobody writes meanwhile; zeros from n on.
/// @param wide  p + i is a multiple of the vector's size: one access where the vector is whole
template <int N, typename T>
__device__ Vector<T, N> load_part(const T* p, std::int64_t i, std::int64_t n, bool wide) {
  Vector<T, N> part;
  if (wide && i + N <= n) {
    const auto word = __ldg(reinterpret_cast<const Word<sizeof part>*>(p + i));
    memcpy(&part, &word, sizeof part);
    return part;
  }
#pragma unroll
  for (int e = 0; e < N; ++e) part.value[e] = i + e < n ? p[i + e] : T{};
  return part;
}

/// Elements [i, i + N) of p (n), but none from n on.
template <int N, typename T>
__device__ void store_part(T* p, std::int64_t i, std::int64_t n, bool wide,
                           const Vector<T, N>& part) {
  if (wide && i + N <= n) {
    Word<sizeof part> word;
    memcpy(&word, &part, sizeof part);
    __stwb(reinterpret_cast<Word<sizeof part>*>(p + i), word);
    return;
  }
#pragma unroll
  for (int e = 0; e < N; ++e) {
    if (i + e < n) p[i + e] = part.value[e];
  }
}

/// Whether p is a multiple of `bytes`.
inline bool is_aligned(const void* p, std::size_t bytes) {
  return reinterpret_cast<std::uintptr_t>(p) % bytes == 0;
}

/// Division by a number that is the same for all threads: a product and a shift.
class Divider {
 public:
  /// @param divisor  1 … 2^31 - 1
  explicit Divider(std::uint32_t divisor)
      : shift_(31 + std::bit_width(divisor - 1)),
        multiplier_(
            static_cast<std::uint32_t>(((std::uint64_t{1} << shift_) + divisor - 1) / divisor)) {}

  /// n / divisor for n < 2^31. With e = multiplier · divisor - 2^shift < divisor <= 2^(shift - 31)
  /// the product is too large by n · e < 2^shift, which is less than a divisor'th part.
  __device__ std::uint32_t operator()(std::uint32_t n) const {
    return static_cast<std::uint32_t>((std::uint64_t{n} * multiplier_) >> shift_);
  }

 private:
  int shift_;
  std::uint32_t multiplier_;
};

}  // namespace qlora::cuda
