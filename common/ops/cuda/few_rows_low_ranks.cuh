// The low ranks u = x Aᵀ of a group's adapters, made by the first blocks of the kernel that needs
// them.
#pragma once

#include "ops/cuda/few_rows_codes.cuh"
#include "ops/cuda/wide.cuh"

namespace qlora::cuda::few_rows {

// Blocks that have given their part of u, and blocks that have seen all of it. Both are 0 again at
// a kernel's end. All kernels run on one stream, one after the other.
static __device__ unsigned given = 0, seen = 0;

__device__ inline unsigned load_acquire(const unsigned* p) {
  unsigned value;
  asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(value) : "l"(p) : "memory");
  return value;
}

// Asks for R elements in time for their use.
__device__ inline void prefetch(const float* p, int R) {
  constexpr int kLine = 128 / sizeof(float);
  for (int i = 0; i < R; i += kLine) asm volatile("prefetch.global.L2 [%0];" ::"l"(p + i));
}

// u[m, row] = x[m] · A[row], the whole block a row at a time.
template <int M, typename T>
__device__ void make_low_ranks(const Work& work, const Rows<T>& in) {
  constexpr int kPiece = 8;
  __shared__ float partial[kWarps][M];
  if (static_cast<int>(blockIdx.x) >= work.low_blocks) return;
  for (int row = blockIdx.x; row < work.ranks; row += work.low_blocks) {
    int a = 0;
    while (a + 1 < work.adapter_count && row >= work.adapters[a + 1].at) ++a;
    const float* A = work.adapters[a].A + std::int64_t{row - work.adapters[a].at} * work.K;
    float sum[M] = {};
#pragma unroll 2
    for (int k = threadIdx.x * kPiece; k < work.K; k += kThreads * kPiece) {
      float low[kPiece], x[kPiece];
      load<kPiece>(A + k, low);
#pragma unroll
      for (int m = 0; m < M; ++m) {
        load<kPiece>(in.x + min(m, in.rows - 1) * in.ldx + k, x);
#pragma unroll
        for (int j = 0; j < kPiece; ++j) sum[m] += x[j] * low[j];
      }
    }
#pragma unroll
    for (int m = 0; m < M; ++m) {
      sum[m] = warp_sum(sum[m]);
      if (threadIdx.x % kWarp == 0) partial[threadIdx.x / kWarp][m] = sum[m];
    }
    __syncthreads();
    if (threadIdx.x == 0) {
#pragma unroll
      for (int m = 0; m < M; ++m) {
        float total = 0.0f;
        for (int w = 0; w < kWarps; ++w) total += partial[w][m];
        work.u[m * work.ranks + row] = total;
      }
      __threadfence();
      atomicAdd(&given, 1u);
    }
    __syncthreads();
  }
}

// The rows of B that the block's tiles [begin, end) will want at the end.
__device__ inline void prefetch_adapters(const Work& work, int begin, int end) {
  for (int r = threadIdx.x; work.ranks > 0 && r < (end - begin) * kTile; r += kThreads) {
    const int p = part_of(work, begin + r / kTile);
    const int row = (begin + r / kTile - work.parts[p].first_tile) * kTile + r % kTile;
    for (int a = 0; a < work.adapter_count && row < work.parts[p].rows; ++a) {
      const LowRank& adapter = work.adapters[a];
      if (adapter.part == p) prefetch(adapter.B + std::int64_t{row} * adapter.R, adapter.R);
    }
  }
}

// low (M, ΣR) in shared memory = u, once all of it is there.
template <int M>
__device__ void take_low_ranks(const Work& work, float* low) {
  if (threadIdx.x == 0) {
    while (load_acquire(&given) < static_cast<unsigned>(work.ranks)) __nanosleep(32);
  }
  __syncthreads();
  for (int i = threadIdx.x; i < M * work.ranks; i += kThreads) low[i] = __ldcg(work.u + i);
  // The last block to see them makes ready for the next kernel.
  if (threadIdx.x == 0 && atomicInc(&seen, gridDim.x - 1) == gridDim.x - 1) given = 0;
  __syncthreads();
}

}  // namespace qlora::cuda::few_rows
