// AdamW and the gradients' norm over many tensors in few launches: a table of them travels with a
// launch as its parameter, and a block works on 4096 elements of one.
#include "ops/cuda/adamw.cuh"
#include "ops/cuda/ops.h"
#include "ops/cuda/timeline.h"
#include "ops/cuda/wide.cuh"

namespace qlora::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kPerBlock = 4096;
constexpr int kEach = 4;  // elements of an access

template <int ARRAYS>
using Table = TensorTable<ARRAYS, kPerBlock>;

// partial[block] = Σ g² over the block's elements, in double
__global__ void __launch_bounds__(kThreads)
    squares(const __grid_constant__ Table<1> table, double* partial) {
  const TablePart part = table.part_of(static_cast<int>(blockIdx.x));
  const float* const gradients = table.array<float>(part, 0);
  double sum = 0.0;
  for (std::int64_t i = part.begin + threadIdx.x * kEach; i < part.end; i += kThreads * kEach) {
    float g[kEach];
    load_within<kEach>(gradients, i, part.end, table.wide, g);
#pragma unroll
    for (int j = 0; j < kEach; ++j) sum += static_cast<double>(g[j]) * static_cast<double>(g[j]);
  }
  sum = block_sum<kThreads>(sum);
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

// norm = sqrt(Σ partial): one block
__global__ void __launch_bounds__(kThreads)
    root_of_sum(const double* partial, std::int64_t count, double* norm) {
  double sum = 0.0;
  for (std::int64_t i = threadIdx.x; i < count; i += kThreads) sum += partial[i];
  sum = block_sum<kThreads>(sum);
  if (threadIdx.x == 0) *norm = sqrt(sum);
}

// The formulas of ops::adamw.
// norm is nullptr where gradients are taken as they are.
__global__ void __launch_bounds__(kThreads)
    update(const __grid_constant__ Table<4> table, AdamWFactors<float> f, const double* norm,
           double max_norm, double loss_scale) {
  const float clip = clip_of_block(norm, max_norm, loss_scale);
  if (clip == 0.0f) return;
  const TablePart part = table.part_of(static_cast<int>(blockIdx.x));
  const float* const gradients = table.array<float>(part, 0);
  float* const parameters = table.array<float>(part, 1);
  float* const means = table.array<float>(part, 2);
  float* const squared_means = table.array<float>(part, 3);
  for (std::int64_t i = part.begin + threadIdx.x * kEach; i < part.end; i += kThreads * kEach) {
    float g[kEach], p[kEach], m[kEach], v[kEach];
    load_within<kEach>(gradients, i, part.end, table.wide, g);
    load_within<kEach>(parameters, i, part.end, table.wide, p);
    load_within<kEach>(means, i, part.end, table.wide, m);
    load_within<kEach>(squared_means, i, part.end, table.wide, v);
#pragma unroll
    for (int j = 0; j < kEach; ++j) {
      update_element(f, __fmul_rn(g[j], clip), p[j], m[j], v[j]);
    }
    store_within<kEach>(p, i, part.end, table.wide, parameters);
    store_within<kEach>(m, i, part.end, table.wide, means);
    store_within<kEach>(v, i, part.end, table.wide, squared_means);
  }
}

}  // namespace

void gradient_norm(std::span<const Tensor> gradients, Arena& arena, const Tensor& norm) {
  const Timed timed(ops::Part::optimizer);
  std::int64_t blocks = 0;
  for (const Tensor& g : gradients) {
    require(g.dtype() == DType::f32, "gradient_norm", "gradients in float32");
    blocks += blocks_for(g.numel(), kPerBlock);
  }
  const ArenaScope scope(arena);
  double* const partial = elements<double>(arena.take(DType::f64, {blocks}));
  double* next = partial;
  in_tables<1, kPerBlock>(
      gradients.size(), [&](std::size_t i) { return std::array{&gradients[i]}; },
      [&](const Table<1>& table) {
        squares<<<static_cast<unsigned>(table.blocks()), kThreads, 0, stream()>>>(table, next);
        next += table.blocks();
      });
  root_of_sum<<<1, kThreads, 0, stream()>>>(partial, blocks, elements<double>(norm));
  check_launch("gradient_norm");
}

void adamw_all(const AdamWStep& step, std::span<const AdamWTensors> all) {
  const Timed timed(ops::Part::optimizer);
  for (const auto& [gradient, parameter, m, v] : all) {
    for (const Tensor* t : {&gradient, &parameter, &m, &v}) {
      require(t->dtype() == DType::f32, "adamw", "tensors in float32 on a GPU");
    }
  }
  const double* norm = step.clip.norm ? elements<double>(step.clip.norm) : nullptr;
  in_tables<4, kPerBlock>(
      all.size(),
      [&](std::size_t i) {
        return std::array{&all[i].gradient, &all[i].parameter, &all[i].m, &all[i].v};
      },
      [&](const Table<4>& table) {
        update<<<static_cast<unsigned>(table.blocks()), kThreads, 0, stream()>>>(
            table, AdamWFactors<float>(step), norm, step.clip.max_norm, step.clip.scale);
      });
  check_launch("adamw");
}

}  // namespace qlora::cuda
