// RMSNorm: a block a row, which it keeps in registers between the sum and the product, so that each
// array is read once; the weight's gradient is a pass of its own, a block a strip of columns.
#include "ops/cuda/ops.h"
#include "ops/cuda/overlap.cuh"
#include "ops/cuda/timeline.h"
#include "ops/cuda/wide.cuh"

namespace qlora::cuda {
namespace {

// A thread's part of a row: four accesses of N elements in registers, which the THREADS of the
// block make side by side. What lies beyond them is read again.
template <typename T, int N, int THREADS>
struct Row {
  static constexpr int kKept = 4;
  static constexpr int kSweep = THREADS * N;  // from one of a thread's accesses to its next
  const T* from;
  Vector<T, N> kept[kKept];

  __device__ Row(const T* row, int C) : from(row) {
#pragma unroll
    for (int k = 0; k < kKept; ++k) {
      const int c = k * kSweep + threadIdx.x * N;
      if (c < C) kept[k] = read<N>(from + c);
    }
  }

  // Access k, of columns c … c+N-1.
  __device__ void get(int c, int k, float (&values)[N]) const {
    if (k >= kKept) return load<N>(from + c, values);
    widen(kept[k], values);
  }

  // Calls f(c, k) for each of the thread's accesses. The first values of k are compile-time
  // constants, as an index of registers has to be.
  template <typename F>
  static __device__ void each(int C, F&& f) {
#pragma unroll
    for (int k = 0; k < kKept; ++k) {
      const int c = k * kSweep + threadIdx.x * N;
      if (c < C) f(c, k);
    }
    for (int c = kKept * kSweep + threadIdx.x * N; c < C; c += kSweep) f(c, kKept);
  }
};

// y = x · rstd ⊙ (offset + weight), rstd = 1 / sqrt(mean(x²) + eps); x (rows,C), weight (C),
// rstd (rows), y (rows,ld)
template <typename T, int N, int THREADS>
__global__ void __launch_bounds__(THREADS)
    forward(const T* x, const T* weight, float offset, float eps, int C, T* y, std::int64_t ld,
            float* rstd) {
  let_next_begin();
  const std::int64_t row = blockIdx.x;
  using Part = Row<T, N, THREADS>;
  const Part part(x + row * C, C);
  float squares = 0.0f;
  Part::each(C, [&](int c, int k) {
    float values[N];
    part.get(c, k, values);
#pragma unroll
    for (int j = 0; j < N; ++j) squares += values[j] * values[j];
  });
  // eps stands inside the root
  const float r = 1.0f / sqrtf(block_sum<THREADS>(squares) / static_cast<float>(C) + eps);
  if (threadIdx.x == 0) rstd[row] = r;
  Part::each(C, [&](int c, int k) {
    float values[N], w[N];
    part.get(c, k, values);
    load<N>(weight + c, w);
#pragma unroll
    for (int j = 0; j < N; ++j) values[j] = values[j] * r * (offset + w[j]);
    store<N>(values, y + row * ld + c);
  });
}

// dx += rstd · (g − x̂ · mean(g ⊙ x̂)), g = (offset + weight) ⊙ dy, x̂ = x · rstd; dy, x (rows,C),
// dx (rows,ld)
template <typename T, int N, int THREADS>
__global__ void __launch_bounds__(THREADS)
    backward(const T* dy, const T* x, const T* weight, float offset, const float* rstd, int C,
             T* dx, std::int64_t ld) {
  const std::int64_t row = blockIdx.x;
  using Part = Row<T, N, THREADS>;
  const Part x_part(x + row * C, C), dy_part(dy + row * C, C);
  const Part before(dx + row * ld, C);  // asked for early: the sum hides the wait
  const float r = rstd[row];
  float dot = 0.0f;
  Part::each(C, [&](int c, int k) {
    float xs[N], dys[N], w[N];
    x_part.get(c, k, xs);
    dy_part.get(c, k, dys);
    load<N>(weight + c, w);
#pragma unroll
    for (int j = 0; j < N; ++j) dot += (offset + w[j]) * dys[j] * xs[j];
  });
  const float mean = block_sum<THREADS>(dot) * r / static_cast<float>(C);
  Part::each(C, [&](int c, int k) {
    float xs[N], dys[N], w[N], out[N];
    x_part.get(c, k, xs);
    dy_part.get(c, k, dys);
    load<N>(weight + c, w);
    before.get(c, k, out);
#pragma unroll
    for (int j = 0; j < N; ++j) out[j] += r * ((offset + w[j]) * dys[j] - xs[j] * r * mean);
    store<N>(out, dx + row * ld + c);
  });
}

constexpr int kLanes = 4;  // accesses side by side in a strip of columns: 64 bytes of a row
constexpr int kStripThreads = 1024;

// dweight (C) += Σ_rows dy ⊙ x̂: a block a strip, its threads every 256th row; their sums are added
// up in the warp, then over the warps.
template <typename T, int N>
__global__ void __launch_bounds__(kStripThreads)
    weight_gradient(const T* dy, const T* x, const float* rstd, int rows, int C, float* dweight) {
  __shared__ float partial[kStripThreads / kWarp][kLanes * N];
  const int lane = threadIdx.x % kLanes;
  const int strip = blockIdx.x * kLanes * N, c = strip + lane * N;
  float sum[N] = {};
  if (c < C) {
#pragma unroll 4
    for (std::int64_t row = threadIdx.x / kLanes; row < rows; row += kStripThreads / kLanes) {
      float dys[N], xs[N];
      load<N>(dy + row * C + c, dys);
      load<N>(x + row * C + c, xs);
      const float r = rstd[row];
#pragma unroll
      for (int j = 0; j < N; ++j) sum[j] += dys[j] * xs[j] * r;
    }
  }
#pragma unroll
  for (int j = 0; j < N; ++j) {
    for (int offset = kLanes; offset < kWarp; offset *= 2) {
      sum[j] += __shfl_xor_sync(~0u, sum[j], offset);
    }
    if (threadIdx.x % kWarp < kLanes) partial[threadIdx.x / kWarp][lane * N + j] = sum[j];
  }
  __syncthreads();
  const int column = threadIdx.x;
  if (column >= kLanes * N || strip + column >= C) return;
  float total = 0.0f;
  for (int warp = 0; warp < kStripThreads / kWarp; ++warp) total += partial[warp][column];
  dweight[strip + column] += total;
}

// Calls f with the width of an access, and with the threads whose registers hold a row.
template <typename T, typename F>
void on_row(int C, bool all_aligned, F&& f) {
  using std::integral_constant;
  constexpr int kWidth = kWide<T>, kKept = 4;
  if (C % kWidth != 0 || !all_aligned) {
    f(integral_constant<int, 1>{}, integral_constant<int, 256>{});
  } else if (C <= 128 * kKept * kWidth) {
    f(integral_constant<int, kWidth>{}, integral_constant<int, 128>{});
  } else if (C <= 256 * kKept * kWidth) {
    f(integral_constant<int, kWidth>{}, integral_constant<int, 256>{});
  } else {
    f(integral_constant<int, kWidth>{}, integral_constant<int, 512>{});
  }
}

}  // namespace

void rms_norm_forward(const Tensor& x, const Tensor& weight, double eps, const Tensor& y,
                      const Tensor& rstd, double offset) {
  const Timed timed(ops::Part::element_wise);
  const std::int64_t rows = x.dim(0);
  const int C = static_cast<int>(x.dim(1));
  if (rows == 0) return;
  on_element(x, "rms_norm_forward", [&]<typename T>(T) {
    on_row<T>(C, y.dim(1) % kWide<T> == 0 && aligned(x, weight, y),
              [&]<int N, int THREADS>(std::integral_constant<int, N>,
                                      std::integral_constant<int, THREADS>) {
                forward<T, N, THREADS><<<static_cast<unsigned>(rows), THREADS, 0, stream()>>>(
                    elements<T>(x), elements<T>(weight), static_cast<float>(offset),
                    static_cast<float>(eps), C, elements<T>(y), y.dim(1), elements<float>(rstd));
              });
  });
  check_launch("rms_norm_forward");
}

void rms_norm_backward(const Tensor& dy, const Tensor& x, const Tensor& weight, const Tensor& rstd,
                       const Tensor& dx, const Tensor& dweight, double offset) {
  const Timed timed(ops::Part::element_wise);
  const std::int64_t rows = x.dim(0);
  const int C = static_cast<int>(x.dim(1));
  if (rows == 0) return;
  on_element(x, "rms_norm_backward", [&]<typename T>(T) {
    on_row<T>(C, dx.dim(1) % kWide<T> == 0 && aligned(dy, x, weight, dx),
              [&]<int N, int THREADS>(std::integral_constant<int, N>,
                                      std::integral_constant<int, THREADS>) {
                backward<T, N, THREADS><<<static_cast<unsigned>(rows), THREADS, 0, stream()>>>(
                    elements<T>(dy), elements<T>(x), elements<T>(weight),
                    static_cast<float>(offset), elements<float>(rstd), C, elements<T>(dx),
                    dx.dim(1));
                if (!dweight) return;
                weight_gradient<T, N><<<blocks_for(C, kLanes * N), kStripThreads, 0, stream()>>>(
                    elements<T>(dy), elements<T>(x), elements<float>(rstd), static_cast<int>(rows),
                    C, elements<float>(dweight));
              });
  });
  check_launch("rms_norm_backward");
}

}  // namespace qlora::cuda
