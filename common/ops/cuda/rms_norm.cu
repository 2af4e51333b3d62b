// RMSNorm: a block a row forward; backward a block a row for dx, and a block a column strip for
// dweight.
#include "ops/cuda/numeric.cuh"
#include "ops/cuda/ops.h"

namespace qlora::cuda {
namespace {

constexpr int kThreads = 256;

// x, y (rows,C), weight (C), rstd (rows)
template <typename T>
__global__ void __launch_bounds__(kThreads)
    forward(const T* x, const T* weight, float eps, int C, T* y, float* rstd) {
  const std::int64_t row = blockIdx.x;
  x += row * C;
  y += row * C;
  float squares = 0.0f;
  for (int c = threadIdx.x; c < C; c += kThreads) {
    const float value = to_float(x[c]);
    squares += value * value;
  }
  const float r = rsqrtf(block_sum<kThreads>(squares) / static_cast<float>(C) + eps);
  if (threadIdx.x == 0) rstd[row] = r;
  for (int c = threadIdx.x; c < C; c += kThreads) {
    y[c] = from_float<T>(to_float(x[c]) * r * to_float(weight[c]));
  }
}

// dx += rstd · (g − x̂ · mean(g ⊙ x̂)), g = weight ⊙ dy
template <typename T>
__global__ void __launch_bounds__(kThreads)
    backward(const T* dy, const T* x, const T* weight, const float* rstd, int C, T* dx) {
  const std::int64_t row = blockIdx.x;
  const float r = rstd[row];
  dy += row * C;
  x += row * C;
  dx += row * C;
  float dot = 0.0f;
  for (int c = threadIdx.x; c < C; c += kThreads) {
    dot += to_float(dy[c]) * to_float(weight[c]) * to_float(x[c]);
  }
  const float mean = block_sum<kThreads>(dot) * r / static_cast<float>(C);
  for (int c = threadIdx.x; c < C; c += kThreads) {
    const float g = to_float(dy[c]) * to_float(weight[c]);
    dx[c] = from_float<T>(to_float(dx[c]) + r * (g - to_float(x[c]) * r * mean));
  }
}

// dweight (C) += Σ_rows dy ⊙ x̂: 32 columns a block, its warps every eighth row.
template <typename T>
__global__ void __launch_bounds__(kThreads)
    weight_gradient(const T* dy, const T* x, const float* rstd, int rows, int C, float* dweight) {
  __shared__ float partial[kThreads / kWarp][kWarp];
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  const int c = blockIdx.x * kWarp + lane;
  float sum = 0.0f;
  for (std::int64_t row = warp; c < C && row < rows; row += kThreads / kWarp) {
    sum += to_float(dy[row * C + c]) * to_float(x[row * C + c]) * rstd[row];
  }
  partial[warp][lane] = sum;
  __syncthreads();
  if (warp != 0 || c >= C) return;
  for (int w = 1; w < kThreads / kWarp; ++w) sum += partial[w][lane];
  dweight[c] += sum;
}

}  // namespace

void rms_norm_forward(const Tensor& x, const Tensor& weight, double eps, const Tensor& y,
                      const Tensor& rstd) {
  const std::int64_t rows = x.dim(0);
  if (rows == 0) return;
  on_element(x, "rms_norm_forward", [&]<typename T>(T) {
    forward<T><<<static_cast<unsigned>(rows), kThreads, 0, stream()>>>(
        elements<T>(x), elements<T>(weight), static_cast<float>(eps), static_cast<int>(x.dim(1)),
        elements<T>(y), elements<float>(rstd));
  });
  check_launch("rms_norm_forward");
}

void rms_norm_backward(const Tensor& dy, const Tensor& x, const Tensor& weight, const Tensor& rstd,
                       const Tensor& dx, const Tensor& dweight) {
  const std::int64_t rows = x.dim(0);
  const int C = static_cast<int>(x.dim(1));
  if (rows == 0) return;
  on_element(x, "rms_norm_backward", [&]<typename T>(T) {
    backward<T><<<static_cast<unsigned>(rows), kThreads, 0, stream()>>>(
        elements<T>(dy), elements<T>(x), elements<T>(weight), elements<float>(rstd), C,
        elements<T>(dx));
    if (!dweight) return;
    weight_gradient<T><<<blocks_for(C, kWarp), kThreads, 0, stream()>>>(
        elements<T>(dy), elements<T>(x), elements<float>(rstd), static_cast<int>(rows), C,
        elements<float>(dweight));
  });
  check_launch("rms_norm_backward");
}

}  // namespace qlora::cuda
