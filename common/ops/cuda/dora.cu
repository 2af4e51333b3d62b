// DoRA's own kernels. The norm of W + s·B·A is taken without writing that sum anywhere: a block
// holds B of a few rows, and each element of A that it reads serves all of them.
#include "ops/cuda/dora.h"
#include "ops/cuda/numeric.cuh"
#include "ops/cuda/timeline.h"

namespace qlora::cuda {
namespace {

constexpr auto kLora = ops::Part::lora;
constexpr int kThreads = 256;
constexpr int kRows = 8;    // of W a block
constexpr int kRanks = 64;  // of B at once in shared memory; more are taken in turns

// norm[n] = ‖W_n + s · B_n · A‖; W (N,ld), A (R,K), B (N,R)
template <typename T>
__global__ void __launch_bounds__(kThreads)
    row_norms(const T* W, std::int64_t ld, const float* A, const float* B, float s, int N, int K,
              int R, float* norm) {
  __shared__ float b[kRanks][kRows];
  const int first = blockIdx.x * kRows;
  float squares[kRows] = {};
  for (int begin = 0; begin < K; begin += kThreads) {  // the same turns in every thread: barriers
    const int k = begin + threadIdx.x;
    float v[kRows];
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      const bool within = k < K && first + i < N;
      v[i] = within ? to_float(W[(first + i) * ld + k]) : 0.0f;
    }
    for (int r0 = 0; r0 < R; r0 += kRanks) {
      const int ranks = min(kRanks, R - r0);
      if (begin == 0 || R > kRanks) {  // what is there stays, where all ranks fit
        __syncthreads();
        for (int e = threadIdx.x; e < ranks * kRows; e += kThreads) {
          const int r = e / kRows, i = e % kRows;
          const bool within = first + i < N;
          b[r][i] = within ? s * B[static_cast<std::int64_t>(first + i) * R + r0 + r] : 0.0f;
        }
        __syncthreads();
      }
      if (k >= K) continue;
      for (int r = 0; r < ranks; ++r) {
        const float a = A[static_cast<std::int64_t>(r0 + r) * K + k];
#pragma unroll
        for (int i = 0; i < kRows; ++i) v[i] += b[r][i] * a;
      }
    }
#pragma unroll
    for (int i = 0; i < kRows; ++i) squares[i] += v[i] * v[i];
  }
#pragma unroll
  for (int i = 0; i < kRows; ++i) {
    const float sum = block_sum<kThreads>(squares[i]);
    if (threadIdx.x == 0 && first + i < N) norm[first + i] = sum == 0.0f ? 1.0f : sqrtf(sum);
  }
}

// out = keep · out + factor · in, factor[n] = m[n] / norm[n] − less, or 1 without m. A block a row,
// the columns in turns.
template <typename T>
__global__ void __launch_bounds__(kThreads)
    columns(const T* in, std::int64_t ld_in, const float* m, const float* norm, float less,
            float keep, int N, T* out, std::int64_t ld_out) {
  const std::int64_t t = blockIdx.x;
  for (int n = threadIdx.x; n < N; n += kThreads) {
    const float factor = m == nullptr ? 1.0f : m[n] / norm[n] - less;
    T* to = out + t * ld_out + n;
    const float before = keep == 0.0f ? 0.0f : keep * to_float(*to);  // what is there may be NaN
    *to = from_float<T>(before + factor * to_float(in[t * ld_in + n]));
  }
}

constexpr int kColumns = 32;  // a block of the gradient
constexpr int kLines = kThreads / kColumns;

// dm[n] += Σ_t dy[t,n] · v[t,n] / norm[n]: a block 32 columns, its lines every eighth row.
template <typename T>
__global__ void __launch_bounds__(kThreads)
    column_dots(const T* dy, std::int64_t ld_dy, const T* v, std::int64_t ld_v, int tokens, int N,
                const float* norm, float* dm) {
  __shared__ float partial[kLines][kColumns];
  const int column = threadIdx.x % kColumns, line = threadIdx.x / kColumns;
  const int n = blockIdx.x * kColumns + column;
  float sum = 0.0f;
  for (int t = line; n < N && t < tokens; t += kLines) {
    sum += to_float(dy[t * ld_dy + n]) * to_float(v[t * ld_v + n]);
  }
  partial[line][column] = sum;
  __syncthreads();
  if (line != 0 || n >= N) return;
  for (int l = 1; l < kLines; ++l) sum += partial[l][column];
  dm[n] += sum / norm[n];
}

void launch_columns(const Matrix& in, const float* m, const float* norm, float less, float keep,
                    const Matrix& out) {
  require(in.dtype == out.dtype && in.rows == out.rows && in.columns == out.columns, "dora",
          "columns of one shape and dtype");
  const Timed timed(kLora);
  on_element(out.dtype, "dora", [&]<typename T>(T) {
    columns<T><<<static_cast<unsigned>(out.rows), kThreads, 0, stream()>>>(
        static_cast<const T*>(in.data), in.ld, m, norm, less, keep, static_cast<int>(out.columns),
        static_cast<T*>(out.data), out.ld);
  });
  check_launch("dora");
}

}  // namespace

void dora_norm(const Matrix& weight, const Adapter& adapter, const Tensor& norm) {
  require(adapter.A.dtype() == DType::f32 && norm.dtype() == DType::f32, "dora_norm",
          "adapter and norm in float32");
  const Timed timed(kLora);
  on_element(weight.dtype, "dora_norm", [&]<typename T>(T) {
    row_norms<T><<<blocks_for(weight.rows, kRows), kThreads, 0, stream()>>>(
        static_cast<const T*>(weight.data), weight.ld, elements<float>(adapter.A),
        elements<float>(adapter.B), static_cast<float>(adapter.scaling),
        static_cast<int>(weight.rows), static_cast<int>(weight.columns),
        static_cast<int>(adapter.A.dim(0)), elements<float>(norm));
  });
  check_launch("dora_norm");
}

void dora_norm(const Tensor& weight, const Adapter& adapter, const Tensor& norm) {
  dora_norm(Matrix(weight), adapter, norm);
}

void scale_columns(const Matrix& in, const Tensor& m, const Tensor& norm, float less, float keep,
                   const Matrix& out) {
  launch_columns(in, elements<float>(m), elements<float>(norm), less, keep, out);
}

void add_columns(const Matrix& in, const Matrix& out) {
  launch_columns(in, nullptr, nullptr, 0.0f, 1.0f, out);
}

void magnitude_gradient(const Matrix& dy, const Matrix& v, const Tensor& norm, const Tensor& dm) {
  const Timed timed(kLora);
  on_element(dy.dtype, "dora", [&]<typename T>(T) {
    column_dots<T><<<blocks_for(dy.columns, kColumns), kThreads, 0, stream()>>>(
        static_cast<const T*>(dy.data), dy.ld, static_cast<const T*>(v.data), v.ld,
        static_cast<int>(dy.rows), static_cast<int>(dy.columns), elements<float>(norm),
        elements<float>(dm));
  });
  check_launch("dora");
}

}  // namespace qlora::cuda
