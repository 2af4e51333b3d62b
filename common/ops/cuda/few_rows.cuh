// What the products of few rows share: sums over a warp of several values at once.
#pragma once

#include "ops/cuda/numeric.cuh"

namespace qlora::cuda {

/// At most this many rows are worth a product that reads the matrix by itself.
inline constexpr std::int64_t kFewRows = 8;

/// Rows of x that one pass over the matrix takes.
inline constexpr int kPassRows = 4;

/// Sums each of V values (a power of two) over the warp, in V − 1 + log2(32 / V) exchanges, an
/// order that is always the same. The lane gets the sum of value lane / (32 / V).
template <int V>
__device__ float warp_sums(float (&values)[V]) {
  const int lane = threadIdx.x % kWarp;
#pragma unroll
  for (int kept = V / 2, offset = kWarp / 2; kept > 0; kept /= 2, offset /= 2) {
    const bool upper = (lane & offset) != 0;
#pragma unroll
    for (int i = 0; i < kept; ++i) {
      const float mine = upper ? values[kept + i] : values[i];
      const float others = upper ? values[i] : values[kept + i];
      values[i] = mine + __shfl_xor_sync(~0u, others, offset);
    }
  }
#pragma unroll
  for (int offset = kWarp / 2 / V; offset > 0; offset /= 2) {
    values[0] += __shfl_xor_sync(~0u, values[0], offset);
  }
  return values[0];
}

/// Calls f(first, rows, M) for the rows of each pass, where M (1, 2 or 4) rows are computed.
template <typename F>
void in_passes(std::int64_t T, int most, F&& f) {
  for (std::int64_t first = 0; first < T; first += most) {
    const int rows = static_cast<int>(T - first < most ? T - first : most);
    if (rows == 1) {
      f(first, rows, std::integral_constant<int, 1>{});
    } else if (rows == 2) {
      f(first, rows, std::integral_constant<int, 2>{});
    } else {
      f(first, rows, std::integral_constant<int, kPassRows>{});
    }
  }
}

}  // namespace qlora::cuda
