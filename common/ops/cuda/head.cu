// The output head on the GPU: logits, and the cross-entropy in chunks of supervised positions with
// the gradient made in the forward pass.
#include <algorithm>

#include "ops/cuda/elementwise.h"
#include "ops/cuda/few_rows.h"
#include "ops/cuda/head.h"
#include "ops/cuda/numeric.cuh"
#include "ops/cuda/product.h"
#include "ops/cuda/timeline.h"

namespace qlora::cuda {
namespace {

constexpr auto kNo = Transpose::no;
constexpr auto kYes = Transpose::yes;
constexpr auto kPart = ops::Part::head_products;
constexpr std::int64_t kLogitBytes = std::int64_t{256} << 20;  // of logits in memory at once

// One row of C elements by a block, 16 bytes at a time where both begin at a multiple of that.
template <typename T>
__device__ void copy_row(const T* from, int C, T* to) {
  constexpr int N = kWide<T>;
  const auto both = reinterpret_cast<std::uintptr_t>(from) | reinterpret_cast<std::uintptr_t>(to);
  const int whole = both % 16 == 0 ? C / N * N : 0;
  for (int c = threadIdx.x * N; c < whole; c += blockDim.x * N) {
    *reinterpret_cast<uint4*>(to + c) = *reinterpret_cast<const uint4*>(from + c);
  }
  for (int c = whole + threadIdx.x; c < C; c += blockDim.x) to[c] = from[c];
}

// to (rows,C)[i] = from[index[i]], or the other way round: a block a row.
template <typename T>
__global__ void gather(const T* from, const std::int32_t* index, int C, T* to) {
  const std::int64_t source = index[blockIdx.x], target = blockIdx.x;
  copy_row(from + source * C, C, to + target * C);
}

template <typename T>
__global__ void scatter(const T* from, const std::int32_t* index, int C, T* to) {
  const std::int64_t source = blockIdx.x, target = index[blockIdx.x];
  copy_row(from + source * C, C, to + target * C);
}

// sum += Σ losses (n), in one block and an order that is always the same; all (rows) gets each loss
// at its position where it is asked for.
__global__ void __launch_bounds__(256)
    collect(const float* losses, const std::int32_t* index, int n, double* sum, float* all) {
  __shared__ double partial[256];
  double mine = 0.0;
  for (int i = threadIdx.x; i < n; i += 256) {
    mine += static_cast<double>(losses[i]);
    if (all != nullptr) all[index[i]] = losses[i];
  }
  partial[threadIdx.x] = mine;
  __syncthreads();
  for (int step = 128; step > 0; step /= 2) {
    if (static_cast<int>(threadIdx.x) < step) partial[threadIdx.x] += partial[threadIdx.x + step];
    __syncthreads();
  }
  if (threadIdx.x == 0 && sum != nullptr) *sum += partial[0];
}

}  // namespace

void head_forward(const Tensor& x, const Tensor& head, const Tensor& logits) {
  if (few_rows_serves(head, x)) return few_rows_head(x, head, logits);
  product(kNo, Matrix(x), kYes, Matrix(head), 1.0f, 0.0f, Matrix(logits), Matrix(logits));
}

void head_cross_entropy(const Tensor& x, const Tensor& head, const ops::Supervised& supervised,
                        double gradient_scale, Arena& arena, const ops::HeadOutputs& out) {
  const Timed timed(ops::Part::cross_entropy);
  const Tensor &dx = out.dx, &dhead = out.dhead, &losses = out.losses;
  const std::int64_t V = head.dim(0), C = head.dim(1), count = supervised.rows.numel();
  if (dx) fill_bytes(dx, 0);
  if (losses) fill_bytes(losses, 0);
  if (count == 0) return;
  const ArenaScope scope(arena);
  const std::int64_t row_bytes = V * static_cast<std::int64_t>(size_of(x.dtype()));
  const std::int64_t most = std::min(count, std::max<std::int64_t>(1, kLogitBytes / row_bytes));
  const Tensor gathered = arena.take(x.dtype(), {most, C});
  const Tensor logits = arena.take(x.dtype(), {most, V});
  const Tensor loss = arena.take(DType::f32, {most});
  on_element(x, "head_cross_entropy", [&]<typename T>(T) {
    for (std::int64_t first = 0; first < count; first += most) {
      const std::int64_t n = std::min(most, count - first);
      const auto blocks = static_cast<unsigned>(n);
      const std::int32_t* index = elements<std::int32_t>(supervised.rows) + first;
      const Matrix chunk = Matrix(gathered).rows_from(0, n),
                   scores = Matrix(logits).rows_from(0, n);
      gather<T><<<blocks, 256, 0, stream()>>>(elements<T>(x), index, static_cast<int>(C),
                                              elements<T>(gathered));
      product(kNo, chunk, kYes, Matrix(head), 1.0f, 0.0f, scores, scores, kPart);
      softmax_cross_entropy(logits.rows(0, n), supervised.targets.rows(first, first + n),
                            dx || dhead ? gradient_scale : 0.0, loss.rows(0, n));
      collect<<<1, 256, 0, stream()>>>(elements<float>(loss), index, static_cast<int>(n),
                                       elements<double>(out.sum), elements<float>(losses));
      if (dhead) {
        product(kYes, scores, kNo, chunk, 1.0f, 1.0f, Matrix(dhead), Matrix(dhead), kPart);
      }
      if (!dx) continue;
      product(kNo, scores, kNo, Matrix(head), 1.0f, 0.0f, chunk, chunk, kPart);
      scatter<T><<<blocks, 256, 0, stream()>>>(elements<T>(gathered), index, static_cast<int>(C),
                                               elements<T>(dx));
    }
  });
  check_launch("head_cross_entropy");
}

}  // namespace qlora::cuda
