// Attention backward on the tensor cores, after FlashAttention-2 (Dao 2023, algorithm 2), in two
// kernels, so that no sum is in the hands of two blocks and its order is always the same. Both
// compute the probabilities of a tile again:
//   P = exp(scale · q kᵀ − lse), dP = dout vᵀ, dS = P ⊙ (dP − delta),
//   dv = Pᵀ dout, dk = scale · dSᵀ q, dq = scale · dS k.
#include "ops/cuda/attention_tiles.cuh"

namespace qlora::cuda {
namespace {

constexpr int kRows = kTileWarps * 16;  // of a block: keys, or queries
constexpr int kKeys = 64;               // of a tile, where a block has queries

// Keys and values of a block, tiles of queries beside them, and what belongs to a query.
template <int D, int QUERIES, int STAGES>
constexpr std::size_t key_gradient_bytes() {
  constexpr int elements = 2 * kRows * D + STAGES * 2 * QUERIES * D;
  return elements * std::size_t{2} + STAGES * 2 * QUERIES * sizeof(float);
}

// dk, dv: a warp owns 16 keys and computes with Pᵀ (16, QUERIES), whose registers are the left side
// of both products. Blocks (B·K, tiles of keys), those with the most queries first.
template <int D, int QUERIES, int STAGES, typename Element>
__global__ void __launch_bounds__(kTileThreads, 2)
    key_gradient(AttentionInputs<Element> in, AttentionGradients<Element> grad, float scale) {
  extern __shared__ uint4 shared[];
  constexpr int kTile = QUERIES * D;
  Element* k_tile = reinterpret_cast<Element*>(shared);
  Element* v_tile = k_tile + kRows * D;
  Element* tiles = v_tile + kRows * D;  // (STAGES, 2, QUERIES, D): q, then dout
  float* numbers = reinterpret_cast<float*>(tiles + STAGES * 2 * kTile);  // lse, then delta

  const AttentionShape& shape = in.shape;
  const int T = static_cast<int>(shape.T), K = static_cast<int>(shape.K);
  const int H = static_cast<int>(shape.H), group = H / K;
  const int kv = blockIdx.x % K, b = blockIdx.x / K, lane = threadIdx.x % kWarp;
  const int first = blockIdx.y * kRows, warp_row = warp_number() * 16;
  const int first_key = first + warp_row;
  const int start = first / QUERIES;  // the queries before see none of these keys
  const int per_head = (T + QUERIES - 1) / QUERIES - start, steps = group * per_head;

  const auto copy_step = [&](int step) {
    const int h = kv * group + step / per_head, t = (start + step % per_head) * QUERIES;
    Element* q_tile = tiles + step % STAGES * 2 * kTile;
    copy_tile<QUERIES, D>(q_tile, head_of(in.q, shape, b, h) + t * in.q.row, in.q.row, T - t);
    copy_tile<QUERIES, D>(q_tile + kTile, head_of(grad.dout, shape, b, h) + t * grad.dout.row,
                          grad.dout.row, T - t);
    const int i = threadIdx.x % QUERIES, which = threadIdx.x / QUERIES;
    if (which < 2) {
      const float* of_head =
          (which == 0 ? grad.lse : grad.delta) + (static_cast<std::int64_t>(b) * H + h) * T + t;
      copy_async<4>(numbers + (step % STAGES * 2 + which) * QUERIES + i, of_head + i, t + i < T);
    }
    commit_copies();
  };

  copy_tile<kRows, D>(k_tile, head_of(in.k, shape, b, kv) + first * in.k.row, in.k.row, T - first);
  copy_tile<kRows, D>(v_tile, head_of(in.v, shape, b, kv) + first * in.v.row, in.v.row, T - first);
  copy_step(0);
  float dk[1][D / 8][4] = {}, dv[1][D / 8][4] = {};

  for (int step = 0; step < steps; ++step) {
    if (STAGES == 1 && step > 0) {
      __syncthreads();  // everybody is done with the last tile
      copy_step(step);
    }
    wait_for_copies<0>();
    __syncthreads();  // this tile is there, and with two stages the last one is done with
    if (STAGES == 2 && step + 1 < steps) copy_step(step + 1);

    const Element* q_tile = tiles + step % STAGES * 2 * kTile;
    const Element* dout_tile = q_tile + kTile;
    const float* lse = numbers + step % STAGES * 2 * QUERIES;
    const float* delta = lse + QUERIES;
    const int t = (start + step % per_head) * QUERIES;

    float p[1][QUERIES / 8][4] = {};
    multiply_rows<D, QUERIES>(
        p, [&](int, int part) { return left_of<D>(k_tile + warp_row * D, 0, part); }, q_tile);
#pragma unroll
    for (int n = 0; n < QUERIES / 8; ++n) {
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const int i = 8 * n + 2 * (lane % 4) + j % 2;
        p[0][n][j] = fast_exp2(p[0][n][j] * (scale * kLog2E) - lse[i] * kLog2E);
      }
    }
    if (in.segments != nullptr || t < first_key + 15) {
      hide<Rows::keys, QUERIES>(in, b, first_key, t, 0.0f, p);
    }
    multiply_tile<D, QUERIES>(dv, p, dout_tile);

    float ds[1][QUERIES / 8][4] = {};
    multiply_rows<D, QUERIES>(
        ds, [&](int, int part) { return left_of<D>(v_tile + warp_row * D, 0, part); }, dout_tile);
#pragma unroll
    for (int n = 0; n < QUERIES / 8; ++n) {
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const int i = 8 * n + 2 * (lane % 4) + j % 2;
        ds[0][n][j] = p[0][n][j] * (ds[0][n][j] - delta[i]);
      }
    }
    multiply_tile<D, QUERIES>(dk, ds, q_tile);
  }

  // A warp's keys and values are read by that warp alone: their place serves the results.
  const float of_dk[1][2] = {{scale, scale}}, of_dv[1][2] = {{1.0f, 1.0f}};
  store_rows<D>(dk, of_dk, k_tile + warp_row * D,
                head_of(grad.dk, shape, b, kv) + first_key * grad.dk.row, grad.dk.row,
                T - first_key);
  store_rows<D>(dv, of_dv, v_tile + warp_row * D,
                head_of(grad.dv, shape, b, kv) + first_key * grad.dv.row, grad.dv.row,
                T - first_key);
}

template <int D>
constexpr std::size_t query_gradient_bytes() {
  return std::size_t{2} * 2 * kKeys * D * 2;
}

// dq: a warp owns 16 queries, which it keeps in registers with their dout. Blocks (B·H, tiles of
// queries), those with the most keys first.
template <int D, typename Element>
__global__ void __launch_bounds__(kTileThreads, 2)
    query_gradient(AttentionInputs<Element> in, AttentionGradients<Element> grad, float scale) {
  extern __shared__ uint4 shared[];
  static_assert(kRows == kKeys);  // the queries pass through the place of a tile of keys
  constexpr int kTile = kKeys * D;
  Element* tiles = reinterpret_cast<Element*>(shared);  // (2, 2, kKeys, D): k, then v

  const AttentionShape& shape = in.shape;
  const int T = static_cast<int>(shape.T), H = static_cast<int>(shape.H);
  const int h = blockIdx.x % H, b = blockIdx.x / H, kv = h / (H / static_cast<int>(shape.K));
  const int first = (gridDim.y - 1 - blockIdx.y) * kRows, lane = threadIdx.x % kWarp;
  const int warp_row = warp_number() * 16, first_query = first + warp_row;
  const int keys = min(T, first + kRows);
  const Element* k = head_of(in.k, shape, b, kv);
  const Element* v = head_of(in.v, shape, b, kv);
  const auto copy_keys = [&](int key) {
    Element* k_tile = tiles + key / kKeys % 2 * 2 * kTile;
    copy_tile<kKeys, D>(k_tile, k + key * in.k.row, in.k.row, T - key);
    copy_tile<kKeys, D>(k_tile + kTile, v + key * in.v.row, in.v.row, T - key);
    commit_copies();
  };

  Element* q_tile = tiles + 2 * kTile;  // where the second tile of keys will stand
  Element* dout_tile = q_tile + kTile;
  copy_tile<kRows, D>(q_tile, head_of(in.q, shape, b, h) + first * in.q.row, in.q.row, T - first);
  copy_tile<kRows, D>(dout_tile, head_of(grad.dout, shape, b, h) + first * grad.dout.row,
                      grad.dout.row, T - first);
  copy_keys(0);
  wait_for_copies<0>();
  __syncthreads();
  Fragment q[D / 16], dout[D / 16];
#pragma unroll
  for (int part = 0; part < D / 16; ++part) {
    q[part] = left_of<D>(q_tile + warp_row * D, 0, part);
    dout[part] = left_of<D>(dout_tile + warp_row * D, 0, part);
  }
  float lse[2], delta[2];
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const std::int64_t t = min(first_query + 8 * r + lane / 4, T - 1);
    lse[r] = grad.lse[static_cast<std::int64_t>(blockIdx.x) * T + t] * kLog2E;
    delta[r] = grad.delta[static_cast<std::int64_t>(blockIdx.x) * T + t];
  }

  float dq[1][D / 8][4] = {};
  for (int key = 0; key < keys; key += kKeys) {
    wait_for_copies<0>();
    __syncthreads();  // these keys are there, and the last ones (the queries) are done with
    if (key + kKeys < keys) copy_keys(key + kKeys);
    const Element* k_tile = tiles + key / kKeys % 2 * 2 * kTile;
    const Element* v_tile = k_tile + kTile;

    float p[1][kKeys / 8][4] = {}, ds[1][kKeys / 8][4] = {};
    multiply_rows<D, kKeys>(p, [&](int, int part) { return q[part]; }, k_tile);
    multiply_rows<D, kKeys>(ds, [&](int, int part) { return dout[part]; }, v_tile);
#pragma unroll
    for (int n = 0; n < kKeys / 8; ++n) {
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const float exponent = p[0][n][j] * (scale * kLog2E) - lse[j / 2];
        ds[0][n][j] = fast_exp2(exponent) * (ds[0][n][j] - delta[j / 2]);
      }
    }
    if (in.segments != nullptr || key + kKeys > first_query + 1) {
      hide<Rows::queries, kKeys>(in, b, first_query, key, 0.0f, ds);
    }
    multiply_tile<D, kKeys>(dq, ds, k_tile);
  }
  __syncthreads();  // the keys are done with
  const float of_dq[1][2] = {{scale, scale}};
  store_rows<D>(dq, of_dq, tiles + warp_row * D,
                head_of(grad.dq, shape, b, h) + first_query * grad.dq.row, grad.dq.row,
                T - first_query);
}

}  // namespace

template <typename Element>
void tensor_core_backward(const AttentionInputs<Element>& in,
                          const AttentionGradients<Element>& grad, bool small) {
  constexpr const char* op = "attention_backward";
  const AttentionShape& s = in.shape;
  const float scale = 1.0f / std::sqrt(static_cast<float>(s.D));
  const dim3 keys(static_cast<unsigned>(s.B * s.K), blocks_for(s.T, kRows));
  const dim3 queries(static_cast<unsigned>(s.B * s.H), blocks_for(s.T, kRows));
  on_head_size(s.D, [&](auto size) {
    constexpr int D = decltype(size)::value;
    constexpr std::size_t large_bytes = key_gradient_bytes<D, 64, 2>();
    if (small || large_bytes > device().shared_memory) {
      launch(op, key_gradient<D, 32, 1, Element>, keys, kTileThreads,
             key_gradient_bytes<D, 32, 1>(), in, grad, scale);
    } else {
      launch(op, key_gradient<D, 64, 2, Element>, keys, kTileThreads, large_bytes, in, grad, scale);
    }
    launch(op, query_gradient<D, Element>, queries, kTileThreads, query_gradient_bytes<D>(), in,
           grad, scale);
  });
}

template void tensor_core_backward(const AttentionInputs<__half>&,
                                   const AttentionGradients<__half>&, bool);
template void tensor_core_backward(const AttentionInputs<__nv_bfloat16>&,
                                   const AttentionGradients<__nv_bfloat16>&, bool);

}  // namespace qlora::cuda
