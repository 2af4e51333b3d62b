// Attention forward on the tensor cores: FlashAttention-2 (Dao 2023, algorithm 1). A block has a
// tile of queries of one head and passes over the tiles of keys that they see; the scores of a tile
// live in registers, where they become the left side of the product with the values.
#include <algorithm>

#include "ops/cuda/attention_tiles.cuh"

namespace qlora::cuda {
namespace {

constexpr int kParts = 2;                           // a warp's rows come in sixteens
constexpr int kQueries = kTileWarps * 16 * kParts;  // of a block
constexpr int kKeys = 64;                           // of a tile
constexpr float kNone = -INFINITY;

// A lane's rows: lane / 4 and the one eight further of each sixteen.
using PerRow = float[kParts][2];
using Scores = float[kParts][kKeys / 8][4];

// One step of the online softmax: s becomes exp(scale · (s − largest)), `sum` the lane's share of a
// row's sum; what was summed before is scaled down to the new `largest`. `scale` has log2 e in it.
template <int D>
__device__ void softmax_step(float scale, Scores& s, PerRow& largest, PerRow& sum,
                             float (&o)[kParts][D / 8][4]) {
#pragma unroll
  for (int m = 0; m < kParts; ++m) {
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      float top = largest[m][r];
#pragma unroll
      for (int n = 0; n < kKeys / 8; ++n) {
        top = fmaxf(top, fmaxf(s[m][n][2 * r], s[m][n][2 * r + 1]));
      }
      top = fmaxf(top, __shfl_xor_sync(~0u, top, 1));  // four lanes share a row
      top = fmaxf(top, __shfl_xor_sync(~0u, top, 2));
      const float base = top == kNone ? 0.0f : top * scale;
      const float shrink = fast_exp2(largest[m][r] * scale - base);
      largest[m][r] = top;
      sum[m][r] *= shrink;
#pragma unroll
      for (int n = 0; n < kKeys / 8; ++n) {
#pragma unroll
        for (int j = 2 * r; j < 2 * r + 2; ++j) {
          s[m][n][j] = fast_exp2(s[m][n][j] * scale - base);
          sum[m][r] += s[m][n][j];
        }
      }
#pragma unroll
      for (int n = 0; n < D / 8; ++n) {
        o[m][n][2 * r] *= shrink;
        o[m][n][2 * r + 1] *= shrink;
      }
    }
  }
}

template <int D>
constexpr std::size_t shared_bytes() {
  return static_cast<std::size_t>(kQueries + 2 * kKeys) * D * 2;
}

// Blocks (B·H, tiles of queries), those with the most keys first.
template <int D, typename Element>
__global__ void __launch_bounds__(kTileThreads, 2)
    forward(AttentionInputs<Element> in, Heads<Element> out, float scale, float* lse) {
  extern __shared__ uint4 shared[];
  Element* q_tile = reinterpret_cast<Element*>(shared);
  Element* k_tile = q_tile + kQueries * D;
  Element* v_tile = k_tile + kKeys * D;

  const AttentionShape& shape = in.shape;
  const int T = static_cast<int>(shape.T), S = static_cast<int>(shape.S);
  const int H = static_cast<int>(shape.H), h = blockIdx.x % H, b = blockIdx.x / H;
  const int kv = h / (H / static_cast<int>(shape.K));
  const int first = (gridDim.y - 1 - blockIdx.y) * kQueries;  // query of the block
  const int warp_row = warp_number() * (16 * kParts), lane = threadIdx.x % kWarp;
  const int position = S - T + first;
  const int keys = min(S, position + kQueries);  // that one of the queries sees
  const Element* k = head_of(in.k, shape, b, kv);
  const Element* v = head_of(in.v, shape, b, kv);

  copy_tile<kQueries, D>(q_tile, head_of(in.q, shape, b, h) + first * in.q.row, in.q.row,
                         T - first);
  copy_tile<kKeys, D>(k_tile, k, in.k.row, S);
  commit_copies();

  float o[kParts][D / 8][4] = {};
  PerRow largest, sum = {};
  for (int i = 0; i < 2 * kParts; ++i) largest[i / 2][i % 2] = kNone;
  const Element* q_rows = q_tile + warp_row * D;
  const auto query_part = [&](int m, int part) { return left_of<D>(q_rows, m, part); };

  for (int key = 0; key < keys; key += kKeys) {
    wait_for_copies<0>();
    __syncthreads();  // these keys are there, and the last tile's values are done with
    copy_tile<kKeys, D>(v_tile, v + key * in.v.row, in.v.row, S - key);
    commit_copies();
    // A warp whose queries all come before the tile has nothing to add.
    const bool sees = key < position + warp_row + 16 * kParts;
    Scores s = {};
    if (sees) multiply_rows<D, kKeys>(s, query_part, k_tile);
    wait_for_copies<0>();
    __syncthreads();  // the values are there, and the keys are done with
    if (key + kKeys < keys) {
      copy_tile<kKeys, D>(k_tile, k + (key + kKeys) * in.k.row, in.k.row, S - key - kKeys);
      commit_copies();
    }
    if (!sees) continue;
    if (in.segments != nullptr || key + kKeys > position + warp_row + 1) {
      hide<Rows::queries, kKeys>(in, b, position + warp_row, key, kNone, s);
    }
    softmax_step<D>(scale * kLog2E, s, largest, sum, o);
    multiply_tile<D, kKeys>(o, s, v_tile);
  }

  PerRow inverse;
#pragma unroll
  for (int m = 0; m < kParts; ++m) {
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      sum[m][r] += __shfl_xor_sync(~0u, sum[m][r], 1);
      sum[m][r] += __shfl_xor_sync(~0u, sum[m][r], 2);
      inverse[m][r] = sum[m][r] > 0.0f ? 1.0f / sum[m][r] : 0.0f;
      const int t = first + warp_row + 16 * m + 8 * r + lane / 4;
      if (lse != nullptr && lane % 4 == 0 && t < T) {
        lse[static_cast<std::int64_t>(blockIdx.x) * T + t] =
            largest[m][r] * scale + logf(sum[m][r]);
      }
    }
  }
  const std::int64_t t = first + warp_row;
  store_rows<D>(o, inverse, q_tile + warp_row * D, head_of(out, shape, b, h) + t * out.row, out.row,
                static_cast<int>(T - t));
}

}  // namespace

template <typename Element>
void tensor_core_forward(const AttentionInputs<Element>& in, Heads<Element> out, float* lse) {
  const AttentionShape& s = in.shape;
  const dim3 grid(static_cast<unsigned>(s.B * s.H), blocks_for(s.T, kQueries));
  const float scale = 1.0f / std::sqrt(static_cast<float>(s.D));
  on_head_size(s.D, [&](auto size) {
    constexpr int D = decltype(size)::value;
    launch("attention_forward", forward<D, Element>, grid, kTileThreads, shared_bytes<D>(), in, out,
           scale, lse);
  });
}

template void tensor_core_forward(const AttentionInputs<__half>&, Heads<__half>, float*);
template void tensor_core_forward(const AttentionInputs<__nv_bfloat16>&, Heads<__nv_bfloat16>,
                                  float*);

}  // namespace qlora::cuda
