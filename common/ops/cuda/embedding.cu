// Token embedding: rows copied out of the table, and gradients added up into it.
#include "ops/cuda/ops.h"
#include "ops/cuda/timeline.h"
#include "ops/cuda/wide.cuh"

namespace qlora::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kWarp;

// The scale as the activations' type has it.
template <typename T>
__device__ float rounded(float scale) {
  return to_float(from_float<T>(scale));
}

// x (rows,C) = scale · table (V,C)[ids (rows)]: a block a row. Where the scale is 1 rows are
// copied.
template <typename T, int N, bool SCALED>
__global__ void __launch_bounds__(kThreads)
    forward(const T* table, const std::int32_t* ids, float scale, int C, T* x) {
  const std::int64_t row = blockIdx.x;
  const T* from = table + static_cast<std::int64_t>(ids[row]) * C;
  T* to = x + row * C;
  for (int c = threadIdx.x * N; c < C; c += kThreads * N) {
    if constexpr (SCALED) {
      float values[N];
      load<N>(from + c, values);
#pragma unroll
      for (int j = 0; j < N; ++j) values[j] *= rounded<T>(scale);
      store<N>(values, to + c);
    } else {
      *reinterpret_cast<Vector<T, N>*>(to + c) = read<N>(from + c);
    }
  }
}

// dtable (V,C)[ids] += scale · dx (rows,C): a block for each row and strip of columns. The block of
// the first row with an id adds up all rows with it, in their order; the blocks of the others end.
// So each element has one owner and one order, whatever the ids are, and nothing needs sorting.
template <typename T, int N>
__global__ void __launch_bounds__(kThreads)
    backward(const T* dx, const std::int32_t* ids, float scale, int rows, int C, float* dtable) {
  __shared__ unsigned matches[kWarps];  // a bit for each of the rows looked at
  const int first = blockIdx.x;
  const std::int32_t id = ids[first];
  bool seen = false;
  for (int row = threadIdx.x; row < first; row += kThreads) seen |= ids[row] == id;
  if (__syncthreads_or(seen)) return;

  const int c = (blockIdx.y * kThreads + threadIdx.x) * N;
  float* target = dtable + static_cast<std::int64_t>(id) * C + c;
  float sum[N] = {};
  if (c < C) load<N>(target, sum);
  for (int begin = first; begin < rows; begin += kThreads) {
    const int row = begin + threadIdx.x;
    const unsigned in_warp = __ballot_sync(~0u, row < rows && ids[row] == id);
    if (threadIdx.x % kWarp == 0) matches[threadIdx.x / kWarp] = in_warp;
    __syncthreads();
    for (int warp = 0; warp < kWarps; ++warp) {
      for (unsigned left = matches[warp]; left != 0; left &= left - 1) {
        const std::int64_t match = begin + warp * kWarp + __ffs(left) - 1;
        if (c >= C) continue;
        float values[N];
        load<N>(dx + match * C + c, values);
#pragma unroll
        for (int j = 0; j < N; ++j) sum[j] += rounded<T>(scale) * values[j];
      }
    }
    __syncthreads();  // before the matches are overwritten
  }
  if (c < C) store<N>(sum, target);
}

}  // namespace

void embedding_forward(const Tensor& table, const Tensor& ids, const Tensor& x, double scale) {
  const Timed timed(ops::Part::element_wise);
  const std::int64_t rows = ids.numel();
  const int C = static_cast<int>(table.dim(1));
  require(table.dtype() == x.dtype(), "embedding_forward", "a table in the dtype of x");
  if (rows == 0 || C == 0) return;
  on_element(x, "embedding_forward", [&]<typename T>(T) {
    on_width<T>(C % kWide<T> == 0 && aligned(table, x), [&]<int N>(std::integral_constant<int, N>) {
      const auto kernel = scale == 1.0 ? forward<T, N, false> : forward<T, N, true>;
      kernel<<<static_cast<unsigned>(rows), kThreads, 0, stream()>>>(
          elements<T>(table), elements<std::int32_t>(ids), static_cast<float>(scale), C,
          elements<T>(x));
    });
  });
  check_launch("embedding_forward");
}

void embedding_backward(const Tensor& dx, const Tensor& ids, const Tensor& dtable, double scale) {
  const Timed timed(ops::Part::element_wise);
  const std::int64_t rows = ids.numel();
  const int C = static_cast<int>(dtable.dim(1));
  require(dtable.dtype() == DType::f32, "embedding_backward", "a gradient in float32");
  if (rows == 0 || C == 0) return;
  on_element(dx, "embedding_backward", [&]<typename T>(T) {
    on_width<T>(C % kWide<T> == 0 && aligned(dx, dtable),
                [&]<int N>(std::integral_constant<int, N>) {
                  const dim3 grid(static_cast<unsigned>(rows), blocks_for(C, kThreads * N));
                  backward<T, N><<<grid, kThreads, 0, stream()>>>(
                      elements<T>(dx), elements<std::int32_t>(ids), static_cast<float>(scale),
                      static_cast<int>(rows), C, elements<float>(dtable));
                });
  });
  check_launch("embedding_backward");
}

}  // namespace qlora::cuda
