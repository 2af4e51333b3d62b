// Softmax cross-entropy of rows of logits, with the gradient in their place.
#include <algorithm>
#include <cfloat>

#include "ops/cuda/elementwise.h"
#include "ops/cuda/wide.cuh"

namespace qlora::cuda {
namespace {

constexpr std::int32_t kIgnored = -100;  // the target of a row that is skipped

constexpr int kThreads = 1024;

// The largest of some logits, and Σ exp(logit − largest) over them.
struct Softmax {
  float largest = -FLT_MAX;  // finite, so that −∞ − largest is no NaN
  float sum = 0.0f;

  template <int N>
  __device__ void add(const float (&logits)[N]) {
    float most = largest;
#pragma unroll
    for (int j = 0; j < N; ++j) most = fmaxf(most, logits[j]);
    sum *= __expf(largest - most);
    largest = most;
#pragma unroll
    for (int j = 0; j < N; ++j) sum += __expf(logits[j] - most);
  }

  // Those of all threads of the block together, in every thread.
  __device__ void merge() {
    __shared__ float maxima[kThreads / kWarp];
    const float of_warp = warp_max(largest);
    if (threadIdx.x % kWarp == 0) maxima[threadIdx.x / kWarp] = of_warp;
    __syncthreads();
    const float of_block = warp_max(maxima[threadIdx.x % kWarp]);
    sum = block_sum<kThreads>(sum * __expf(largest - of_block));
    largest = of_block;
  }
};
static_assert(kThreads / kWarp == kWarp, "a warp looks at one maximum of each warp");

// loss[row] = log Σ_v exp(logits[row][v]) − logits[row][target], and logits (rows,V) become
// scale · (softmax − onehot(target)): a block a row. The first pass keeps the largest logit so far
// and the sum below it together (Milakov & Gimelshein 2018), and leaves the first `kept` columns in
// shared memory for the second: of 128256 in 16 bits all but a tenth, which the second pass reads
// again, going backwards, from the cache. Each thread looks at its own columns alone.
template <typename T, int N>
__global__ void __launch_bounds__(kThreads)
    cross_entropy(T* logits, const std::int32_t* targets, float scale, int V, int kept,
                  float* losses) {
  extern __shared__ __align__(16) unsigned char room[];
  T* const row = reinterpret_cast<T*>(room);
  logits += static_cast<std::int64_t>(blockIdx.x) * V;
  const std::int32_t target = targets[blockIdx.x];
  const int first = threadIdx.x * N;
  if (target == kIgnored) {
    if (threadIdx.x == 0) losses[blockIdx.x] = 0.0f;
    const float zeros[N] = {};
    for (int v = first; scale != 0.0f && v < V; v += kThreads * N) store<N>(zeros, logits + v);
    return;
  }
  const float at_target = to_float(logits[target]);  // before it is overwritten
  Softmax softmax;
#pragma unroll 4
  for (int v = first; v < V; v += kThreads * N) {
    const auto access = read<N>(logits + v);
    if (v < kept) *reinterpret_cast<Vector<T, N>*>(row + v) = access;
    float values[N];
    widen(access, values);
    softmax.add(values);
  }
  softmax.merge();
  if (threadIdx.x == 0) losses[blockIdx.x] = logf(softmax.sum) - (at_target - softmax.largest);
  if (scale == 0.0f || first >= V) return;
  const float factor = scale / softmax.sum;
  const auto to_gradient = [&](float(&values)[N], int v) {
#pragma unroll
    for (int j = 0; j < N; ++j) {
      values[j] = factor * __expf(values[j] - softmax.largest) - (v + j == target ? scale : 0.0f);
    }
    store<N>(values, logits + v);
  };
  constexpr int kSweep = kThreads * N;
  int v = first + (V - 1 - first) / kSweep * kSweep;  // the thread's last columns
#pragma unroll 4
  for (; v >= kept; v -= kSweep) {
    float values[N];
    load<N>(logits + v, values);
    to_gradient(values, v);
  }
#pragma unroll 4
  for (; v >= 0; v -= kSweep) {
    float values[N];
    load<N>(row + v, values);
    to_gradient(values, v);
  }
}

// Columns of a row of V that a block leaves in shared memory: a multiple of what it reads at once.
template <typename T, int N>
int columns_kept(int V) {
  constexpr std::size_t kOwn = 1024;  // of the block's sums
  constexpr int kSweep = kThreads * N;
  const auto most = static_cast<int>((device().shared_memory - kOwn) / (kSweep * sizeof(T)));
  return std::min(most, (V + kSweep - 1) / kSweep) * kSweep;
}

}  // namespace

void softmax_cross_entropy(const Tensor& logits, const Tensor& targets, double scale,
                           const Tensor& losses) {
  constexpr const char* op = "softmax_cross_entropy";
  const std::int64_t rows = logits.dim(0);
  const int V = static_cast<int>(logits.dim(1));
  require(targets.numel() == rows && targets.dtype() == DType::i32, op, "targets (rows) I32");
  require(losses.numel() == rows && losses.dtype() == DType::f32, op, "losses (rows) F32");
  if (rows == 0) return;
  on_element(logits, op, [&]<typename T>(T) {
    on_width<T>(V % kWide<T> == 0 && aligned(logits), [&]<int N>(std::integral_constant<int, N>) {
      const int kept = columns_kept<T, N>(V);
      const int bytes = kept * static_cast<int>(sizeof(T));
      const auto kernel = cross_entropy<T, N>;
      check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes), op);
      kernel<<<static_cast<unsigned>(rows), kThreads, static_cast<std::size_t>(bytes), stream()>>>(
          elements<T>(logits), elements<std::int32_t>(targets), static_cast<float>(scale), V, kept,
          elements<float>(losses));
    });
  });
  check_launch(op);
}

}  // namespace qlora::cuda
