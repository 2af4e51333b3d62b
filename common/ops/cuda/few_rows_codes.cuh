// 4-bit codes as the products of few rows read them: a lane's share of a row, multiplied by way of
// a table of the values that a byte stands for.
#pragma once

#include <climits>

#include "ops/cuda/few_rows.cuh"
#include "ops/cuda/quantization.cuh"

namespace qlora::cuda::few_rows {

inline constexpr int kThreads = 512, kWarps = kThreads / kWarp;
inline constexpr int kTile = 4;       // rows of the weight that a warp takes at once
inline constexpr int kHeld = 32;      // elements of x in a lane's registers, over all rows of x
inline constexpr int kCopies = 16;    // of the table of values: lanes side by side read their own
inline constexpr int kMostParts = 3;  // of a group
inline constexpr int kMostAdapters = 8, kMostRanks = 256;
inline constexpr int kSums = 2048;  // of the warps, in shared memory
inline constexpr int kLanes = 8;    // that finish an element of y together

// A projection's codes and maxima, see QuantizedTensor. Its rows make tiles of its own, so that no
// tile has rows of two parts.
struct Part {
  const std::uint8_t* packed = nullptr;
  const float* scales = nullptr;        // (blocks), the maxima; or nested_absmax (groups), and:
  const std::uint8_t* codes = nullptr;  // (blocks), of the maxima
  const float* map = nullptr;           // (256)
  float offset = 0.0f;
  int log2_blocksize = 0, log2_scale = 0;  // elements that share a code, and a scale
  int rows = 0;                            // N
  int column = 0;                          // of y, that row 0 makes
  int first_tile = INT_MAX;                // of the group's
};

struct LowRank {
  const float* A = nullptr;  // (R,K)
  const float* B = nullptr;  // (N,R)
  float scaling = 0.0f;
  int R = 0;
  int part = 0;
  int at = 0;  // column of u, that row 0 of A makes
};

struct Work {
  float code[16];  // the values
  Part parts[kMostParts];
  LowRank adapters[kMostAdapters];
  int part_count = 0, adapter_count = 0;
  int K = 0;
  int ranks = 0;  // ΣR: columns of u
  int tiles = 0;  // of all parts
  int tiles_a_block = 0;
  int low_blocks = 0;  // that make u: as many as run at once, so that none is waited for in vain
  float* u = nullptr;  // (rows, ΣR)
};

template <typename T>
struct Rows {
  const T* x;         // (rows, ldx)
  const T* residual;  // (rows, ld_residual), or nullptr
  T* y;               // (rows, ldy)
  std::int64_t ldx, ld_residual, ldy;
  int rows;
};

// The part that a tile is of.
__device__ inline int part_of(const Work& work, int tile) {
  static_assert(kMostParts == 3);
  return (tile >= work.parts[1].first_tile ? 1 : 0) + (tile >= work.parts[2].first_tile ? 1 : 0);
}

// How the K of a group is split over the warps of a block when M rows are computed.
struct Split {
  int spans;   // of kSpan elements in K
  int slots;   // warps that share the spans of a tile
  int groups;  // of warps, each with tiles of its own; what warps are left over wait
};

template <int M>
__host__ __device__ Split split_of(int K) {
  constexpr int kSpan = kWarp * kHeld / M;
  const int spans = (K + kSpan - 1) / kSpan, slots = spans < kWarps ? spans : kWarps;
  return {spans, slots, kWarps / slots};
}

// What a lane reads of a row: the codes of 8 · WORDS elements, which lie in one block of the
// quantizer, and what restores that block's maximum.
template <int WORDS>
struct Codes {
  unsigned words[WORDS];
  float scale;
  unsigned code;
};

template <int WORDS>
__device__ void fetch(const Part& part, int K, int row, int k, Codes<WORDS>& to) {
  const int at = min(row, part.rows - 1) * K + k;
  // They are read once: the second-level cache is for what is read again.
  const auto bits = __ldcs(reinterpret_cast<const Word<4 * WORDS>*>(part.packed + at / 2u));
  memcpy(to.words, &bits, sizeof bits);
  to.scale = part.scales[at >> part.log2_scale];
  to.code = part.codes != nullptr ? part.codes[at >> part.log2_blocksize] : 0;
}

// The address, in shared memory, of a table that is complete: what hangs on it stays behind here.
__device__ inline unsigned shared_address(const float2* table) {
  unsigned address;
  asm volatile("mov.u32 %0, %1;"
               : "=r"(address)
               : "r"(static_cast<unsigned>(__cvta_generic_to_shared(table)))
               : "memory");
  return address;
}

// Both values of a byte of codes. An address of its own making takes the compiler two instructions
// more, which is a fifth of the loop.
__device__ inline float2 entry(unsigned own, unsigned byte) {
  float2 pair;
  asm("ld.shared.v2.f32 {%0, %1}, [%2];"
      : "=f"(pair.x), "=f"(pair.y)
      : "r"(own + byte * static_cast<unsigned>(kCopies * sizeof(float2))));
  return pair;
}

// sum[m] = Σ_k code[c(k)] x[m, k]; `own` is the address of the lane's copy of the table.
template <int M, int WORDS>
__device__ void multiply(const Codes<WORDS>& codes, unsigned own, const float (&x)[M][8 * WORDS],
                         float (&sum)[M]) {
  for (float& value : sum) value = 0.0f;
#pragma unroll
  for (int i = 0; i < 4 * WORDS; ++i) {
    const unsigned byte = __byte_perm(codes.words[i / 4], 0, 0x4440 | i % 4);
    const float2 pair = entry(own, byte);
#pragma unroll
    for (int m = 0; m < M; ++m) {
      sum[m] += pair.x * x[m][2 * i];
      sum[m] += pair.y * x[m][2 * i + 1];
    }
  }
}

}  // namespace qlora::cuda::few_rows
