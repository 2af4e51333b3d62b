// Attention of few queries over many keys, as generation has it: bound by reading the keys and
// values once. They are split over blocks, so that every multiprocessor reads a share; a second
// kernel puts the shares of a query together, in order (flash decoding).
#include <algorithm>

#include "ops/cuda/attention.cuh"
#include "ops/cuda/mma.cuh"
#include "ops/cuda/overlap.cuh"

namespace qlora::cuda {
namespace {

constexpr int kWarps = 4, kThreads = kWarps * kWarp;
constexpr int kQueries = 4;      // rows of a block: queries of one key-value head
constexpr int kAhead = 4;        // keys of a lane that are under way at once
constexpr int kFewestKeys = 64;  // of a split
constexpr int kMergeWarps = 8, kMergeThreads = kMergeWarps * kWarp;
constexpr float kNone = -INFINITY;
constexpr float kLog2E = 1.4426950408889634f;

// What is summed with `largest` = m weighs this much beside a sum with `top` >= m.
__device__ float weight(float m, float top) {
  return m == kNone ? 0.0f : fast_exp2(m - top);
}

// A row r of a key-value head is query r / group of the head's query head r % group. A part of a
// row: Σ exp2(s − m) v (D), m, Σ exp2(s − m), with scores s in units of log2.
struct Split {
  int splits;    // how many there are; where the keys are few, some have none
  float* parts;  // (B·K, rows, splits, D + 2)
};

template <typename Element>
__device__ Element* output_row(const AttentionShape& s, const Heads<Element>& out, int head,
                               int row) {
  const int group = static_cast<int>(s.H / s.K), K = static_cast<int>(s.K);
  return head_of(out, s, head / K, head % K * group + row % group) + row / group * out.row;
}

// Blocks (splits, tiles of rows, B·K).
template <int D, typename Element>
__global__ void __launch_bounds__(kThreads)
    forward(AttentionInputs<Element> in, Heads<Element> out, float scale, Split split) {
  constexpr int kWidth = kWide<Element>;  // elements of a lane
  constexpr int kLanes = D / kWidth;      // that share a key
  constexpr int kKeys = kWarp / kLanes;   // of a warp at once
  using Piece = Vector<Element, kWidth>;
  __shared__ float sums[kWarps][kQueries][D], tops[kWarps][kQueries], totals[kWarps][kQueries];

  const AttentionShape& shape = in.shape;
  const int K = static_cast<int>(shape.K), group = static_cast<int>(shape.H) / K;
  const int T = static_cast<int>(shape.T), S = keys_of(in), rows = T * group;
  const int b = blockIdx.z / K, kv = blockIdx.z % K, first_row = blockIdx.y * kQueries;
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp, d = lane % kLanes * kWidth;
  const int keys_each = (S + split.splits - 1) / split.splits;
  const int begin = blockIdx.x * keys_each, end = min(S, begin + keys_each);
  const Element* k = head_of(in.k, shape, b, kv) + d;
  const Element* v = head_of(in.v, shape, b, kv) + d;

  float q[kQueries][kWidth], o[kQueries][kWidth] = {}, largest[kQueries], sum[kQueries] = {};
  int last_key[kQueries];
#pragma unroll
  for (int r = 0; r < kQueries; ++r) {
    const int row = min(first_row + r, rows - 1), t = row / group;
    const Element* from = head_of(in.q, shape, b, kv * group + row % group) + t * in.q.row + d;
    const Piece piece = *reinterpret_cast<const Piece*>(from);
#pragma unroll
    for (int i = 0; i < kWidth; ++i) q[r][i] = to_float(piece.value[i]) * (scale * kLog2E);
    largest[r] = kNone;
    last_key[r] = min(S - T + t, end - 1);
  }

  for (int base = begin; base < end; base += kAhead * kWarps * kKeys) {
    Piece keys[kAhead], values[kAhead];
    int at[kAhead];
#pragma unroll
    for (int u = 0; u < kAhead; ++u) {
      at[u] = base + (u * kWarps + warp) * kKeys + lane / kLanes;
      const int there = min(at[u], end - 1);  // one past the end counts for nothing below
      keys[u] = *reinterpret_cast<const Piece*>(k + there * in.k.row);
      values[u] = *reinterpret_cast<const Piece*>(v + there * in.v.row);
    }
#pragma unroll
    for (int r = 0; r < kQueries; ++r) {
      float s[kAhead], top = largest[r];
#pragma unroll
      for (int u = 0; u < kAhead; ++u) {
        s[u] = 0.0f;
#pragma unroll
        for (int i = 0; i < kWidth; ++i) s[u] += q[r][i] * to_float(keys[u].value[i]);
#pragma unroll
        for (int offset = kLanes / 2; offset > 0; offset /= 2) {
          s[u] += __shfl_xor_sync(~0u, s[u], offset);
        }
        if (at[u] > last_key[r]) s[u] = kNone;
        top = fmaxf(top, s[u]);
      }
      const float shrink = weight(largest[r], top);
      largest[r] = top;
      sum[r] *= shrink;
#pragma unroll
      for (int i = 0; i < kWidth; ++i) o[r][i] *= shrink;
#pragma unroll
      for (int u = 0; u < kAhead; ++u) {
        const float p = weight(s[u], top);
        sum[r] += p;
#pragma unroll
        for (int i = 0; i < kWidth; ++i) o[r][i] += p * to_float(values[u].value[i]);
      }
    }
  }

  // The keys of the warp together, then the warps.
#pragma unroll
  for (int r = 0; r < kQueries; ++r) {
#pragma unroll
    for (int offset = kLanes; offset < kWarp; offset *= 2) {
      const float other = __shfl_xor_sync(~0u, largest[r], offset);
      const float top = fmaxf(largest[r], other);
      const float mine = weight(largest[r], top), its = weight(other, top);
      largest[r] = top;
      sum[r] = sum[r] * mine + __shfl_xor_sync(~0u, sum[r], offset) * its;
#pragma unroll
      for (int i = 0; i < kWidth; ++i) {
        o[r][i] = o[r][i] * mine + __shfl_xor_sync(~0u, o[r][i], offset) * its;
      }
    }
    if (lane >= kLanes) continue;
#pragma unroll
    for (int i = 0; i < kWidth; ++i) sums[warp][r][d + i] = o[r][i];
    tops[warp][r] = largest[r];
    totals[warp][r] = sum[r];
  }
  __syncthreads();
  for (int i = threadIdx.x; i < kQueries * D; i += kThreads) {
    const int r = i / D, element = i % D, row = first_row + r;
    if (row >= rows) break;
    float top = kNone, total = 0.0f, value = 0.0f;
    for (int w = 0; w < kWarps; ++w) top = fmaxf(top, tops[w][r]);
    for (int w = 0; w < kWarps; ++w) {
      total += weight(tops[w][r], top) * totals[w][r];
      value += weight(tops[w][r], top) * sums[w][r][element];
    }
    if (split.splits == 1) {
      output_row(shape, out, blockIdx.z, row)[element] = from_float<Element>(value / total);
      continue;
    }
    float* part = split.parts +
                  ((std::int64_t{blockIdx.z} * rows + row) * split.splits + blockIdx.x) * (D + 2);
    part[element] = value;
    if (element == 0) {
      part[D] = top;
      part[D + 1] = total;
    }
  }
}

// out = Σ_i weight_i part_i / Σ_i weight_i total_i. Blocks (rows, B·K); a warp takes every eighth
// part.
template <int D, typename Element>
__global__ void __launch_bounds__(kMergeThreads)
    merge(AttentionShape shape, Heads<Element> out, Split split) {
  let_next_begin();
  __shared__ float sums[kMergeWarps][D], totals[kMergeWarps];
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const float* parts = split.parts + (std::int64_t{blockIdx.y} * gridDim.x + blockIdx.x) *
                                         split.splits * std::int64_t{D + 2};
  float top = kNone;
  for (int i = lane; i < split.splits; i += kWarp) top = fmaxf(top, parts[i * (D + 2) + D]);
  top = warp_max(top);
  float total = 0.0f, value[D / kWarp] = {};
#pragma unroll 4
  for (int i = warp; i < split.splits; i += kMergeWarps) {
    const float* part = parts + i * (D + 2);
    const float w = weight(part[D], top);
    total += w * part[D + 1];
#pragma unroll
    for (int j = 0; j < D / kWarp; ++j) value[j] += w * part[lane + kWarp * j];
  }
#pragma unroll
  for (int j = 0; j < D / kWarp; ++j) sums[warp][lane + kWarp * j] = value[j];
  if (lane == 0) totals[warp] = total;
  __syncthreads();
  if (threadIdx.x >= D) return;
  float sum = 0.0f;
  total = 0.0f;
  for (int w = 0; w < kMergeWarps; ++w) {
    sum += sums[w][threadIdx.x];
    total += totals[w];
  }
  output_row(shape, out, blockIdx.y, blockIdx.x)[threadIdx.x] = from_float<Element>(sum / total);
}

template <int D, typename Element>
void launch_split(const AttentionInputs<Element>& in, Heads<Element> out, Arena& arena) {
  constexpr const char* op = "attention_cached";
  const AttentionShape& s = in.shape;
  const std::int64_t rows = s.T * (s.H / s.K), heads = s.B * s.K;
  const std::int64_t tiles = (rows + kQueries - 1) / kQueries;
  // Two blocks a multiprocessor, unless there are too few keys.
  const std::int64_t wanted = (2 * device().multiprocessors + heads * tiles - 1) / (heads * tiles);
  const std::int64_t most = (s.S + kFewestKeys - 1) / kFewestKeys;
  Split split{static_cast<int>(std::min(wanted, most)), nullptr};
  const ArenaScope scope(arena);
  if (split.splits > 1) {
    split.parts =
        elements<float>(arena.take(DType::f32, {heads, rows, split.splits, std::int64_t{D} + 2}));
  }
  const dim3 grid(static_cast<unsigned>(split.splits), static_cast<unsigned>(tiles),
                  static_cast<unsigned>(heads));
  launch(op, forward<D, Element>, grid, kThreads, 0, in, out,
         1.0f / std::sqrt(static_cast<float>(D)), split);
  if (split.splits == 1) return;
  const dim3 merged(static_cast<unsigned>(rows), static_cast<unsigned>(heads));
  launch(op, merge<D, Element>, merged, kMergeThreads, 0, s, out, split);
}

}  // namespace

template <typename Element>
void split_forward(const AttentionInputs<Element>& in, Heads<Element> out, Arena& arena) {
  switch (in.shape.D) {
    case 32:
      return launch_split<32>(in, out, arena);
    case 64:
      return launch_split<64>(in, out, arena);
    case 128:
      return launch_split<128>(in, out, arena);
    default:
      // a key is one access of each lane of a warp at most
      if constexpr (splits_heads_of<Element>(256)) return launch_split<256>(in, out, arena);
  }
}

template void split_forward(const AttentionInputs<float>&, Heads<float>, Arena&);
template void split_forward(const AttentionInputs<__half>&, Heads<__half>, Arena&);
template void split_forward(const AttentionInputs<__nv_bfloat16>&, Heads<__nv_bfloat16>, Arena&);

}  // namespace qlora::cuda
