// New keys and values into the cache of generation.
#include "ops/cuda/ops.h"
#include "ops/cuda/wide.cuh"

namespace qlora::cuda {
namespace {

constexpr int kThreads = 256;

// keys[b, p] = qkv[i, H·D …], values[b, p] = qkv[i, (H+K)·D …] for row i = b·T + t of qkv
// (B·T, columns) at p = positions[i]: a block a row. keys and values (B, capacity, width).
template <typename T, int N>
__global__ void __launch_bounds__(kThreads)
    append(const T* qkv, int columns, int first_column, int width, const std::int32_t* positions,
           int rows_each, std::int64_t capacity, T* keys, T* values) {
  const std::int64_t row = blockIdx.x;
  const T* from = qkv + row * columns + first_column;
  const std::int64_t to = (row / rows_each * capacity + positions[row]) * width;
  for (int c = threadIdx.x * N; c < width; c += kThreads * N) {
    *reinterpret_cast<Vector<T, N>*>(keys + to + c) = read<N>(from + c);
    *reinterpret_cast<Vector<T, N>*>(values + to + c) = read<N>(from + width + c);
  }
}

}  // namespace

void append_to_cache(const AttentionShape& s, const Tensor& qkv, const Tensor& positions,
                     const Tensor& keys, const Tensor& values) {
  const int width = static_cast<int>(s.K * s.D), first_column = static_cast<int>(s.H * s.D);
  if (qkv.numel() == 0) return;
  on_element(qkv, "append_to_cache", [&]<typename T>(T) {
    const bool wide =
        width % kWide<T> == 0 && first_column % kWide<T> == 0 && aligned(qkv, keys, values);
    on_width<T>(wide, [&]<int N>(std::integral_constant<int, N>) {
      append<T, N><<<static_cast<unsigned>(s.B * s.T), kThreads, 0, stream()>>>(
          elements<const T>(qkv), static_cast<int>(qkv.dim(1)), first_column, width,
          elements<const std::int32_t>(positions), static_cast<int>(s.T), keys.dim(1),
          elements<T>(keys), elements<T>(values));
    });
  });
  check_launch("append_to_cache");
}

}  // namespace qlora::cuda
