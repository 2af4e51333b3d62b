// Rotary position embedding, in place.
#include "ops/cuda/ops.h"
#include "ops/cuda/timeline.h"
#include "ops/cuda/wide.cuh"

namespace qlora::cuda {
namespace {

constexpr int kThreads = 256;

// The pair (a, b) = x[row][h·D + (j, j + D/2)] becomes (a cos − b sin, b cos + a sin): a block a
// row, N pairs at a time. positions (rows); cos, sin (P, D/2); half = D/2; sign −1 turns back.
template <typename T, int N>
__global__ void __launch_bounds__(kThreads)
    rotate(T* x, std::int64_t ld, int pairs, int half, const std::int32_t* positions,
           const float* cos, const float* sin, float sign) {
  const std::int64_t row = blockIdx.x;
  const std::int64_t at = std::int64_t{positions[row]} * half;
  for (int i = threadIdx.x * N; i < pairs; i += kThreads * N) {
    const int j = i % half;
    T* first = x + row * ld + 2 * i - j;  // h·D + j = 2·(i − j) + j
    float a[N], b[N], c[N], s[N], turned_a[N], turned_b[N];
    load<N>(first, a);
    load<N>(first + half, b);
    load<N>(cos + at + j, c);
    load<N>(sin + at + j, s);
#pragma unroll
    for (int k = 0; k < N; ++k) {
      turned_a[k] = a[k] * c[k] - b[k] * (sign * s[k]);
      turned_b[k] = b[k] * c[k] + a[k] * (sign * s[k]);
    }
    store<N>(turned_a, first);
    store<N>(turned_b, first + half);
  }
}

}  // namespace

void rope(const Tensor& x, std::int64_t heads, std::int64_t D, const Tensor& positions,
          const Tensor& cos, const Tensor& sin, float sign) {
  const Timed timed(ops::Part::element_wise);
  const std::int64_t rows = x.dim(0), ld = x.dim(1);
  const int half = static_cast<int>(D / 2), pairs = static_cast<int>(heads * (D / 2));
  if (rows == 0 || pairs == 0) return;
  on_element(x, "rope", [&]<typename T>(T) {
    const bool wide = half % kWide<T> == 0 && ld % kWide<T> == 0 && aligned(x, cos, sin);
    on_width<T>(wide, [&]<int N>(std::integral_constant<int, N>) {
      rotate<T, N><<<static_cast<unsigned>(rows), kThreads, 0, stream()>>>(
          elements<T>(x), ld, pairs, half, elements<std::int32_t>(positions), elements<float>(cos),
          elements<float>(sin), sign);
    });
  });
  check_launch("rope");
}

}  // namespace qlora::cuda
