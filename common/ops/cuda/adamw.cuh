// What the optimizer's kernels share: many tensors in few launches, and the update of an element.
#pragma once

#include <algorithm>
#include <array>

#include "ops/adamw.h"
#include "ops/cuda/ops.h"
#include "ops/cuda/wide.cuh"

namespace qlora::cuda {

/// The elements [begin, end) of a tensor of a table.
struct TablePart {
  int tensor;
  std::int64_t begin, end;
};

/// Tensors of ARRAYS arrays each, and the blocks of a launch that work on them, PER_BLOCK elements
/// a block. It travels with the launch as its parameter, which may take 4 KiB.
template <int ARRAYS, int PER_BLOCK>
struct TensorTable {
  static constexpr int kMost = ARRAYS <= 4 ? 80 : 64;  ///< tensors a launch

  void* arrays[kMost][ARRAYS];
  std::int64_t length[kMost];
  int first_block[kMost + 1];  ///< of each tensor; behind the last, the number of all blocks
  int count = 0;
  bool wide = true;  ///< every array begins at a multiple of 16 bytes

  /// Of all tensors.
  int blocks() const { return count == 0 ? 0 : first_block[count]; }

  /// Adds a tensor: as many elements as the first of its arrays has.
  void add(const std::array<const Tensor*, ARRAYS>& tensors) {
    first_block[count] = blocks();
    length[count] = tensors[0]->numel();
    for (int a = 0; a < ARRAYS; ++a) {
      arrays[count][a] = tensors[a]->raw();
      wide = wide && aligned(*tensors[a]);
    }
    const int own = static_cast<int>(blocks_for(length[count], PER_BLOCK));
    first_block[count + 1] = first_block[count] + own;
    ++count;
  }

  /// What a block works on: its tensor is the last whose first block is not beyond it.
  __device__ TablePart part_of(int block) const {
    int low = 0, high = count - 1;
    while (low < high) {
      const int middle = (low + high + 1) / 2;
      if (first_block[middle] <= block) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    const std::int64_t begin = static_cast<std::int64_t>(block - first_block[low]) * PER_BLOCK;
    const std::int64_t end = begin + PER_BLOCK;
    return {low, begin, end < length[low] ? end : length[low]};
  }

  /// Array a of the part's tensor, from its beginning.
  template <typename T>
  __device__ T* array(const TablePart& part, int a) const {
    return static_cast<T*>(arrays[part.tensor][a]);
  }
};

/// Calls launch(table) for the tensors, at most kMost at a time; arrays_of(i) are those of tensor
/// i.
template <int ARRAYS, int PER_BLOCK, typename ArraysOf, typename Launch>
void in_tables(std::size_t count, ArraysOf&& arrays_of, Launch&& launch) {
  using Table = TensorTable<ARRAYS, PER_BLOCK>;
  static_assert(sizeof(Table) <= 4000, "a launch's parameters may take 4 KiB");
  for (std::size_t first = 0; first < count; first += Table::kMost) {
    Table table;
    for (std::size_t i = first; i < std::min(count, first + Table::kMost); ++i) {
      table.add(arrays_of(i));
    }
    if (table.blocks() > 0) launch(table);
  }
}

/// gradient_factor() of a norm on the device, the same in every thread of a block; 1 where there is
/// none. Every thread calls it, once in a kernel; it has a barrier.
__device__ inline float clip_of_block(const double* norm, double max_norm, double loss_scale) {
  __shared__ float clip;
  if (threadIdx.x == 0) {
    clip =
        norm == nullptr ? 1.0f : static_cast<float>(gradient_factor(*norm, max_norm, loss_scale));
  }
  __syncthreads();
  return clip;
}

/// One element of a step, rounded as the CPU rounds it: no product is fused with a sum.
__device__ inline void update_element(const AdamWFactors<float>& f, float g, float& p, float& m,
                                      float& v) {
  m = __fadd_rn(m, __fmul_rn(__fsub_rn(g, m), f.one_minus_beta1));
  v = __fadd_rn(__fmul_rn(v, f.beta2), __fmul_rn(__fmul_rn(g, g), f.one_minus_beta2));
  const float root = __fadd_rn(__fdiv_rn(__fsqrt_rn(v), f.root_correction), f.eps);
  p = __fsub_rn(__fmul_rn(p, f.decay), __fdiv_rn(__fmul_rn(f.step_size, m), root));
}

}  // namespace qlora::cuda
