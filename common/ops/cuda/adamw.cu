// AdamW and the gradients' norm over many tensors in few launches: a table of up to 80 of them
// travels with a launch as its parameter, and a block works on 4096 elements of one.
#include <algorithm>
#include <array>

#include "ops/cuda/ops.h"
#include "ops/cuda/timeline.h"
#include "ops/cuda/wide.cuh"

namespace qlora::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kPerBlock = 4096;
constexpr int kEach = 4;   // elements of an access
constexpr int kMost = 80;  // tensors a launch, whose parameters may take 4 KiB

// The elements [begin, end) of a tensor.
struct Part {
  int tensor;
  std::int64_t begin, end;
};

// Tensors of ARRAYS arrays of one length each, and the blocks of a launch that work on them.
template <int ARRAYS>
struct Table {
  float* array[kMost][ARRAYS];
  std::int64_t length[kMost];
  int first_block[kMost + 1];  // of each tensor; behind the last, the number of all blocks
  int count = 0;
  bool wide = true;  // every array begins at a multiple of 16 bytes

  int blocks() const { return count == 0 ? 0 : first_block[count]; }

  void add(const std::array<const Tensor*, ARRAYS>& arrays) {
    first_block[count] = blocks();
    length[count] = arrays[0]->numel();
    for (int a = 0; a < ARRAYS; ++a) {
      array[count][a] = elements<float>(*arrays[a]);
      wide = wide && aligned(*arrays[a]);
    }
    const int own = static_cast<int>(blocks_for(length[count], kPerBlock));
    first_block[count + 1] = first_block[count] + own;
    ++count;
  }

  // What a block works on: its tensor is the last whose first block is not beyond it.
  __device__ Part part_of(int block) const {
    int low = 0, high = count - 1;
    while (low < high) {
      const int middle = (low + high + 1) / 2;
      if (first_block[middle] <= block) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    const std::int64_t begin = static_cast<std::int64_t>(block - first_block[low]) * kPerBlock;
    const std::int64_t end = begin + kPerBlock;
    return {low, begin, end < length[low] ? end : length[low]};
  }
};

// partial[block] = Σ g² over the block's elements, in double
__global__ void __launch_bounds__(kThreads)
    squares(const __grid_constant__ Table<1> table, double* partial) {
  const Part part = table.part_of(static_cast<int>(blockIdx.x));
  double sum = 0.0;
  for (std::int64_t i = part.begin + threadIdx.x * kEach; i < part.end; i += kThreads * kEach) {
    float g[kEach];
    load_within<kEach>(table.array[part.tensor][0], i, part.end, table.wide, g);
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

// The formulas of ops::adamw, rounded as the CPU rounds them: no product is fused with a sum.
// norm is nullptr where gradients are taken as they are.
__global__ void __launch_bounds__(kThreads)
    update(const __grid_constant__ Table<4> table, AdamWFactors<float> f, const double* norm,
           double max_norm, double loss_scale) {
  __shared__ float clip;
  if (threadIdx.x == 0) {
    clip =
        norm == nullptr ? 1.0f : static_cast<float>(gradient_factor(*norm, max_norm, loss_scale));
  }
  __syncthreads();
  if (clip == 0.0f) return;
  const Part part = table.part_of(static_cast<int>(blockIdx.x));
  const auto& [gradients, parameters, means, squared_means] = table.array[part.tensor];
  for (std::int64_t i = part.begin + threadIdx.x * kEach; i < part.end; i += kThreads * kEach) {
    float g[kEach], p[kEach], m[kEach], v[kEach];
    load_within<kEach>(gradients, i, part.end, table.wide, g);
    load_within<kEach>(parameters, i, part.end, table.wide, p);
    load_within<kEach>(means, i, part.end, table.wide, m);
    load_within<kEach>(squared_means, i, part.end, table.wide, v);
#pragma unroll
    for (int j = 0; j < kEach; ++j) {
      const float gj = __fmul_rn(g[j], clip);
      m[j] = __fadd_rn(m[j], __fmul_rn(__fsub_rn(gj, m[j]), f.one_minus_beta1));
      v[j] = __fadd_rn(__fmul_rn(v[j], f.beta2), __fmul_rn(__fmul_rn(gj, gj), f.one_minus_beta2));
      const float root = __fadd_rn(__fdiv_rn(__fsqrt_rn(v[j]), f.root_correction), f.eps);
      p[j] = __fsub_rn(__fmul_rn(p[j], f.decay), __fdiv_rn(__fmul_rn(f.step_size, m[j]), root));
    }
    store_within<kEach>(p, i, part.end, table.wide, parameters);
    store_within<kEach>(m, i, part.end, table.wide, means);
    store_within<kEach>(v, i, part.end, table.wide, squared_means);
  }
}

// Calls launch(table) for the tensors, at most kMost at a time; arrays_of(i) are those of tensor i.
template <int ARRAYS, typename ArraysOf, typename Launch>
void in_tables(std::size_t count, ArraysOf&& arrays_of, Launch&& launch) {
  for (std::size_t first = 0; first < count; first += kMost) {
    Table<ARRAYS> table;
    for (std::size_t i = first; i < std::min(count, first + kMost); ++i) table.add(arrays_of(i));
    if (table.blocks() > 0) launch(table);
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
  in_tables<1>(
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
  in_tables<4>(
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
