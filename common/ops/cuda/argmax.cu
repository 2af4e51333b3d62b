// The most likely token of each row of logits.
#include <climits>

#include "ops/cuda/elementwise.h"
#include "ops/cuda/wide.cuh"

namespace qlora::cuda {
namespace {

constexpr int kThreads = 1024;

// The largest value seen and its column; of equal values the first column, whatever the order in
// which they are seen. A NaN is larger than nothing.
struct Largest {
  float value = -INFINITY;
  int column = INT_MAX;

  __device__ void see(float v, int c) {
    if (v > value || (v == value && c < column)) {
      value = v;
      column = c;
    }
  }

  __device__ void over_warp() {
    for (int offset = kWarp / 2; offset > 0; offset /= 2) {
      const float v = __shfl_xor_sync(~0u, value, offset);
      const int c = __shfl_xor_sync(~0u, column, offset);
      see(v, c);
    }
  }
};

// ids (rows) = argmax over the columns of logits (rows,V): a block a row.
template <typename T, int N>
__global__ void __launch_bounds__(kThreads) largest(const T* logits, int V, std::int32_t* ids) {
  __shared__ float values[kWarp];
  __shared__ int columns[kWarp];
  logits += static_cast<std::int64_t>(blockIdx.x) * V;
  Largest best;
#pragma unroll 4
  for (int c = threadIdx.x * N; c < V; c += kThreads * N) {
    float some[N];
    load<N>(logits + c, some);
#pragma unroll
    for (int j = 0; j < N; ++j) best.see(some[j], c + j);
  }
  best.over_warp();
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  if (lane == 0) {
    values[warp] = best.value;
    columns[warp] = best.column;
  }
  __syncthreads();
  if (warp != 0) return;
  best = {values[lane], columns[lane]};
  best.over_warp();
  if (lane == 0) ids[blockIdx.x] = best.column == INT_MAX ? 0 : best.column;  // all NaN
}
static_assert(kThreads / kWarp == kWarp, "the first warp looks at one value of each warp");

}  // namespace

void argmax(const Tensor& logits, const Tensor& ids) {
  const std::int64_t rows = logits.dim(0);
  const int V = static_cast<int>(logits.dim(1));
  require(ids.numel() == rows && ids.dtype() == DType::i32, "argmax", "ids (rows) I32");
  if (rows == 0) return;
  on_element(logits, "argmax", [&]<typename T>(T) {
    on_width<T>(V % kWide<T> == 0 && aligned(logits), [&]<int N>(std::integral_constant<int, N>) {
      largest<T, N><<<static_cast<unsigned>(rows), kThreads, 0, stream()>>>(
          elements<T>(logits), V, elements<std::int32_t>(ids));
    });
  });
  check_launch("argmax");
}

}  // namespace qlora::cuda
