// Attention for every card, element type and head size up to 256: products and sums in float32. A
// block owns rows (queries, or keys in the gradients of keys and values) and passes over tiles of
// 32 rows of the other side, one to a lane, which stand in shared memory as float32.
#include "ops/cuda/attention.cuh"

namespace qlora::cuda {
namespace {

constexpr int kRows = 4;              // a warp owns
constexpr int kTile = kWarp;          // rows of the other side at a time
constexpr int kPieces = 256 / kWarp;  // of a row: lane i has its elements i, i + 32, …
constexpr float kNone = -INFINITY;

using Sums = float[kRows][kPieces];

// Rows in shared memory: an odd pitch, so that lanes may read one element of 32 rows at once.
__device__ int pitch_of(int D) {
  return D | 1;
}

// `count` rows to shared memory, zeros from row `there` on. Every thread of the block calls it.
template <typename Element>
__device__ void load_rows(float* to, const Element* rows, std::int64_t ld, int count, int there,
                          int D) {
  __syncthreads();  // what stood there is done with
  for (int i = threadIdx.x; i < count * D; i += blockDim.x) {
    const int row = i / D, d = i % D;
    to[row * pitch_of(D) + d] = row < there ? to_float(rows[row * ld + d]) : 0.0f;
  }
  __syncthreads();
}

// dot[r] = the warp's row r · the tile's row of this lane.
__device__ void dot_rows(const float* own, const float* tile, int D, float (&dot)[kRows]) {
  const int lane = threadIdx.x % kWarp;
  for (float& x : dot) x = 0.0f;
  for (int d = 0; d < D; ++d) {
    const float x = tile[lane * pitch_of(D) + d];
#pragma unroll
    for (int r = 0; r < kRows; ++r) dot[r] += own[r * pitch_of(D) + d] * x;
  }
}

// sums[r] += Σ over the lanes j of weight[r] of lane j times row j of the tile.
__device__ void add_rows(const float (&weight)[kRows], const float* tile, int D, Sums& sums) {
  const int lane = threadIdx.x % kWarp;
  for (int j = 0; j < kTile; ++j) {
    float w[kRows];
#pragma unroll
    for (int r = 0; r < kRows; ++r) w[r] = __shfl_sync(~0u, weight[r], j);
#pragma unroll
    for (int i = 0; i < kPieces; ++i) {
      const int d = lane + kWarp * i;
      if (d >= D) break;
      const float x = tile[j * pitch_of(D) + d];
#pragma unroll
      for (int r = 0; r < kRows; ++r) sums[r][i] += w[r] * x;
    }
  }
}

// Row r of the warp = factor[r] · sums[r], for the first `there` rows.
template <typename Element>
__device__ void write_rows(const Sums& sums, const float (&factor)[kRows], Element* rows,
                           std::int64_t ld, int there, int D) {
  const int lane = threadIdx.x % kWarp;
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
#pragma unroll
    for (int i = 0; i < kPieces; ++i) {
      const int d = lane + kWarp * i;
      if (r < there && d < D) rows[r * ld + d] = from_float<Element>(sums[r][i] * factor[r]);
    }
  }
}

struct Place {
  int T, S, D, b, h, kv;
  int first;  // row of the block
  int mine;   // row of the warp, counted from the block's first
  int rows;   // of the block
};

// Blocks (B · heads, tiles of rows).
__device__ Place place_of(const AttentionShape& s, int heads) {
  Place p;
  p.T = static_cast<int>(s.T);
  p.S = static_cast<int>(s.S);
  p.D = static_cast<int>(s.D);
  p.b = static_cast<int>(blockIdx.x) / heads;
  p.h = static_cast<int>(blockIdx.x) % heads;
  p.kv = p.h / (heads / static_cast<int>(s.K));
  p.rows = static_cast<int>(blockDim.x) / kWarp * kRows;
  p.first = static_cast<int>(blockIdx.y) * p.rows;
  p.mine = static_cast<int>(threadIdx.x) / kWarp * kRows;
  return p;
}

// out_t = Σ_j softmax_j(scale · q_t · k_j) v_j by the online softmax (Milakov & Gimelshein 2018).
template <typename Element>
__global__ void forward(AttentionInputs<Element> in, Heads<Element> out, float scale, float* lse) {
  extern __shared__ float shared[];
  Place p = place_of(in.shape, static_cast<int>(in.shape.H));
  p.S = keys_of(in);
  const int lane = threadIdx.x % kWarp, offset = p.S - p.T;
  float* q_rows = shared;
  float* tile = q_rows + p.rows * pitch_of(p.D);
  const Element* k = head_of(in.k, in.shape, p.b, p.kv);
  const Element* v = head_of(in.v, in.shape, p.b, p.kv);
  load_rows(q_rows, head_of(in.q, in.shape, p.b, p.h) + p.first * in.q.row, in.q.row, p.rows,
            p.T - p.first, p.D);

  Sums o = {};
  float largest[kRows], sum[kRows] = {};
  for (float& x : largest) x = kNone;
  const int keys = min(p.S, offset + p.first + p.rows);
  for (int first_key = 0; first_key < keys; first_key += kTile) {
    float s[kRows];
    load_rows(tile, k + first_key * in.k.row, in.k.row, kTile, p.S - first_key, p.D);
    dot_rows(q_rows + p.mine * pitch_of(p.D), tile, p.D, s);
    const int key = first_key + lane, segment = segment_of(in, p.b, key);
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const int query = offset + p.first + p.mine + r;
      const bool sees = visible(query, key, segment_of(in, p.b, query), segment);
      s[r] = sees ? scale * s[r] : kNone;
      const float top = fmaxf(largest[r], warp_max(s[r]));
      const float base = top == kNone ? 0.0f : top, shrink = expf(largest[r] - base);
      s[r] = expf(s[r] - base);
      sum[r] = sum[r] * shrink + warp_sum(s[r]);
      largest[r] = top;
      for (float& x : o[r]) x *= shrink;
    }
    load_rows(tile, v + first_key * in.v.row, in.v.row, kTile, p.S - first_key, p.D);
    add_rows(s, tile, p.D, o);
  }

  float inverse[kRows];
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    inverse[r] = sum[r] > 0.0f ? 1.0f / sum[r] : 0.0f;
    const int t = p.first + p.mine + r;
    if (lse != nullptr && lane == 0 && t < p.T) {
      lse[static_cast<std::int64_t>(blockIdx.x) * p.T + t] = largest[r] + logf(sum[r]);
    }
  }
  const int t = p.first + p.mine;
  write_rows(o, inverse, head_of(out, in.shape, p.b, p.h) + t * out.row, out.row, p.T - t, p.D);
}

// P = exp(scale · q · k − lse), dP = dout · v, dS = P ⊙ (dP − delta): dq = scale · dS · k.
template <typename Element>
__global__ void query_gradient(AttentionInputs<Element> in, AttentionGradients<Element> grad,
                               float scale) {
  extern __shared__ float shared[];
  const Place p = place_of(in.shape, static_cast<int>(in.shape.H));
  const int lane = threadIdx.x % kWarp, pitch = pitch_of(p.D), mine = p.first + p.mine;
  float* q_rows = shared;
  float* dout_rows = q_rows + p.rows * pitch;
  float* tile = dout_rows + p.rows * pitch;
  const Element* k = head_of(in.k, in.shape, p.b, p.kv);
  const Element* v = head_of(in.v, in.shape, p.b, p.kv);
  load_rows(q_rows, head_of(in.q, in.shape, p.b, p.h) + p.first * in.q.row, in.q.row, p.rows,
            p.T - p.first, p.D);
  load_rows(dout_rows, head_of(grad.dout, in.shape, p.b, p.h) + p.first * grad.dout.row,
            grad.dout.row, p.rows, p.T - p.first, p.D);

  Sums dq = {};
  float lse[kRows], delta[kRows], factor[kRows];
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    const std::int64_t at = static_cast<std::int64_t>(blockIdx.x) * p.T + min(mine + r, p.T - 1);
    lse[r] = grad.lse[at];
    delta[r] = grad.delta[at];
    factor[r] = scale;
  }
  for (int first_key = 0; first_key < min(p.T, p.first + p.rows); first_key += kTile) {
    float s[kRows], ds[kRows];
    load_rows(tile, k + first_key * in.k.row, in.k.row, kTile, p.T - first_key, p.D);
    dot_rows(q_rows + p.mine * pitch, tile, p.D, s);
    load_rows(tile, v + first_key * in.v.row, in.v.row, kTile, p.T - first_key, p.D);
    dot_rows(dout_rows + p.mine * pitch, tile, p.D, ds);
    const int key = first_key + lane, segment = segment_of(in, p.b, key);
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const bool sees = visible(mine + r, key, segment_of(in, p.b, mine + r), segment);
      ds[r] = sees ? expf(scale * s[r] - lse[r]) * (ds[r] - delta[r]) : 0.0f;
    }
    load_rows(tile, k + first_key * in.k.row, in.k.row, kTile, p.T - first_key, p.D);
    add_rows(ds, tile, p.D, dq);
  }
  write_rows(dq, factor, head_of(grad.dq, in.shape, p.b, p.h) + mine * grad.dq.row, grad.dq.row,
             p.T - mine, p.D);
}

// dv = Pᵀ · dout, dk = scale · dSᵀ · q, summed over the query heads of the group in order.
template <typename Element>
__global__ void key_gradient(AttentionInputs<Element> in, AttentionGradients<Element> grad,
                             float scale) {
  extern __shared__ float shared[];
  const Place p = place_of(in.shape, static_cast<int>(in.shape.K));
  const int lane = threadIdx.x % kWarp, pitch = pitch_of(p.D), mine = p.first + p.mine;
  const int H = static_cast<int>(in.shape.H), group = H / static_cast<int>(in.shape.K);
  float* k_rows = shared;
  float* v_rows = k_rows + p.rows * pitch;
  float* tile = v_rows + p.rows * pitch;
  load_rows(k_rows, head_of(in.k, in.shape, p.b, p.kv) + p.first * in.k.row, in.k.row, p.rows,
            p.T - p.first, p.D);
  load_rows(v_rows, head_of(in.v, in.shape, p.b, p.kv) + p.first * in.v.row, in.v.row, p.rows,
            p.T - p.first, p.D);

  Sums dk = {}, dv = {};
  for (int h = p.kv * group; h < (p.kv + 1) * group; ++h) {
    const Element* q = head_of(in.q, in.shape, p.b, h);
    const Element* dout = head_of(grad.dout, in.shape, p.b, h);
    for (int t = p.first; t < p.T; t += kTile) {  // queries before the block's keys see none
      float s[kRows], ds[kRows];
      load_rows(tile, q + t * in.q.row, in.q.row, kTile, p.T - t, p.D);
      dot_rows(k_rows + p.mine * pitch, tile, p.D, s);
      load_rows(tile, dout + t * grad.dout.row, grad.dout.row, kTile, p.T - t, p.D);
      dot_rows(v_rows + p.mine * pitch, tile, p.D, ds);
      const int query = min(t + lane, p.T - 1), segment = segment_of(in, p.b, query);
      const std::int64_t at = (static_cast<std::int64_t>(p.b) * H + h) * p.T + query;
#pragma unroll
      for (int r = 0; r < kRows; ++r) {
        const bool sees =
            t + lane < p.T && visible(query, mine + r, segment, segment_of(in, p.b, mine + r));
        s[r] = sees ? expf(scale * s[r] - grad.lse[at]) : 0.0f;
        ds[r] = s[r] * (ds[r] - grad.delta[at]);
      }
      add_rows(s, tile, p.D, dv);
      load_rows(tile, q + t * in.q.row, in.q.row, kTile, p.T - t, p.D);
      add_rows(ds, tile, p.D, dk);
    }
  }
  float factor[kRows], one[kRows];
  for (float& x : factor) x = scale;
  for (float& x : one) x = 1.0f;
  write_rows(dk, factor, head_of(grad.dk, in.shape, p.b, p.kv) + mine * grad.dk.row, grad.dk.row,
             p.T - mine, p.D);
  write_rows(dv, one, head_of(grad.dv, in.shape, p.b, p.kv) + mine * grad.dv.row, grad.dv.row,
             p.T - mine, p.D);
}

// Launches with `sides` rows of shared memory for each row of a block, on as many warps as the
// card's shared memory has room for.
template <typename... Parameters>
void launch_plain(const char* op, void (*kernel)(Parameters...), const AttentionShape& s,
                  std::int64_t heads, std::int64_t length, int sides, Parameters... arguments) {
  require(s.D <= kPieces * kWarp, op, "a head size of 256 at most");
  const auto bytes = [&](int warps) {
    return static_cast<std::size_t>(sides * warps * kRows + kTile) *
           static_cast<std::size_t>(s.D | 1) * sizeof(float);
  };
  int warps = 4;
  while (warps > 1 && bytes(warps) > device().shared_memory) --warps;
  const dim3 grid(static_cast<unsigned>(s.B * heads), blocks_for(length, warps * kRows));
  launch(op, kernel, grid, warps * kWarp, bytes(warps), arguments...);
}

float scale_of(const AttentionShape& s) {
  return 1.0f / std::sqrt(static_cast<float>(s.D));
}

}  // namespace

template <typename Element>
void plain_forward(const AttentionInputs<Element>& in, Heads<Element> out, float* lse) {
  launch_plain("attention_forward", forward<Element>, in.shape, in.shape.H, in.shape.T, 1, in, out,
               scale_of(in.shape), lse);
}

template <typename Element>
void plain_backward(const AttentionInputs<Element>& in, const AttentionGradients<Element>& grad) {
  const AttentionShape& s = in.shape;
  launch_plain("attention_backward", query_gradient<Element>, s, s.H, s.T, 2, in, grad,
               scale_of(s));
  launch_plain("attention_backward", key_gradient<Element>, s, s.K, s.T, 2, in, grad, scale_of(s));
}

#define QLORA_INSTANTIATE(Element)                                                      \
  template void plain_forward(const AttentionInputs<Element>&, Heads<Element>, float*); \
  template void plain_backward(const AttentionInputs<Element>&, const AttentionGradients<Element>&)
QLORA_INSTANTIATE(float);
QLORA_INSTANTIATE(__half);
QLORA_INSTANTIATE(__nv_bfloat16);
#undef QLORA_INSTANTIATE

}  // namespace qlora::cuda
