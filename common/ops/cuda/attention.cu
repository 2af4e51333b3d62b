// Attention's ops on the GPU: which kernels an op runs on is decided here alone.
#include "ops/cuda/attention.cuh"
#include "ops/cuda/attention_cudnn.h"
#include "ops/cuda/ops.h"
#include "ops/cuda/timeline.h"

namespace qlora::cuda {
namespace {

constexpr int kThreads = 256;

// At most this many query rows of a key-value head have their keys split over blocks; more of them
// fill the GPU by themselves.
constexpr std::int64_t kFewQueries = 16;

// Heads of D elements beside each other in the rows of a matrix of `columns`, from column `from`
// on.
template <typename Element>
Heads<Element> heads_of(const Tensor& rows, std::int64_t from, std::int64_t columns,
                        std::int64_t T) {
  return {elements<std::remove_const_t<Element>>(rows) + from, columns, T * columns};
}

// q, k and v, or their gradients, of stacked rows of (H+2K)·D columns or more.
template <typename Element>
struct Stacked {
  Heads<Element> q, k, v;
  Stacked(const AttentionShape& s, const Tensor& rows) {
    const std::int64_t columns = rows.dim(1);
    q = heads_of<Element>(rows, 0, columns, s.T);
    k = heads_of<Element>(rows, s.H * s.D, columns, s.T);
    v = heads_of<Element>(rows, (s.H + s.K) * s.D, columns, s.T);
  }
};

template <typename Element>
AttentionInputs<Element> inputs_of(const AttentionShape& s, const Tensor& qkv,
                                   const Tensor& segments) {
  const Stacked<const Element> in(s, qkv);
  return {s, in.q, in.k, in.v, segments ? elements<const std::int32_t>(segments) : nullptr};
}

template <typename Element>
bool on_tensor_cores(const AttentionShape& s, AttentionKernel kernel) {
  if (kernel == AttentionKernel::plain || std::is_same_v<Element, float>) return false;
  if (std::is_same_v<Element, __nv_bfloat16> && !device().has_bf16()) return false;
  return s.D == 32 || s.D == 64 || s.D == 128;
}

template <typename Element>
void run_forward(const AttentionInputs<Element>& in, Heads<Element> out, float* lse,
                 AttentionKernel kernel) {
  if constexpr (!std::is_same_v<Element, float>) {
    if (on_tensor_cores<Element>(in.shape, kernel)) return tensor_core_forward(in, out, lse);
  }
  plain_forward(in, out, lse);
}

// delta (B,H,T) = dout · out, a warp for each head of a row of out (B·T, ld) and dout (B·T, H·D).
// requires D % WIDTH == 0
template <int WIDTH, typename Element>
__global__ void __launch_bounds__(kThreads)
    row_dots(const Element* out, std::int64_t ld, const Element* dout, AttentionShape s,
             float* delta) {
  using Piece = Vector<Element, WIDTH>;
  const std::int64_t row = (std::int64_t{blockIdx.x} * kThreads + threadIdx.x) / kWarp;
  if (row >= s.B * s.T * s.H) return;
  const std::int64_t token = row / s.H, h = row % s.H, b = token / s.T, t = token % s.T;
  float dot = 0.0f;
  for (int d = threadIdx.x % kWarp * WIDTH; d < s.D; d += kWarp * WIDTH) {
    const Piece x = *reinterpret_cast<const Piece*>(out + token * ld + h * s.D + d);
    const Piece y = *reinterpret_cast<const Piece*>(dout + row * s.D + d);
#pragma unroll
    for (int i = 0; i < WIDTH; ++i) dot += to_float(x.value[i]) * to_float(y.value[i]);
  }
  dot = warp_sum(dot);
  if (threadIdx.x % kWarp == 0) delta[(b * s.H + h) * s.T + t] = dot;
}

// Whether cuDNN has done what `run` asks of it, which says why if not.
// @throws MachineLacks where it has not, and nothing else will do
template <typename Run>
bool done_by_cudnn(const char* op, AttentionKernel kernel, const Tensor& segments, Run run) {
  if (kernel != AttentionKernel::fastest && kernel != AttentionKernel::cudnn) return false;
  const std::string problem = segments ? "rows without segments only" : run();
  if (!problem.empty() && kernel == AttentionKernel::cudnn) {
    throw MachineLacks(std::string(op) + " on cuDNN: " + problem);
  }
  return problem.empty();
}

}  // namespace

void attention_forward(const AttentionShape& s, const Tensor& qkv, const Tensor& segments,
                       const Tensor& out, const Tensor& lse, AttentionKernel kernel) {
  const Timed timed(ops::Part::attention_forward);
  require(lse.dtype() == DType::f32, "attention_forward", "lse in float32");
  if (out.numel() == 0) return;
  if (done_by_cudnn("attention_forward", kernel, segments,
                    [&] { return cudnn_forward(s, qkv, out, lse); })) {
    return;
  }
  on_element(qkv, "attention_forward", [&]<typename Element>(Element) {
    run_forward(inputs_of<Element>(s, qkv, segments), heads_of<Element>(out, 0, out.dim(1), s.T),
                elements<float>(lse), kernel);
  });
}

void attention_backward(const AttentionShape& s, const Tensor& qkv, const Tensor& segments,
                        const Tensor& out, const Tensor& lse, const Tensor& dout, Arena& arena,
                        const Tensor& dqkv, AttentionKernel kernel) {
  const Timed timed(ops::Part::attention_backward);
  constexpr const char* op = "attention_backward";
  require(lse.dtype() == DType::f32, op, "lse in float32");
  if (out.numel() == 0) return;
  if (done_by_cudnn(op, kernel, segments,
                    [&] { return cudnn_backward(s, qkv, out, lse, dout, arena, dqkv); })) {
    return;
  }
  const ArenaScope scope(arena);
  const std::int64_t rows = s.B * s.T * s.H;
  const Tensor delta = arena.take(DType::f32, {rows});
  on_element(qkv, op, [&]<typename Element>(Element) {
    launch(op, s.D % 4 == 0 ? row_dots<4, Element> : row_dots<1, Element>,
           blocks_for(rows, kThreads / kWarp), kThreads, 0, elements<const Element>(out),
           out.dim(1), elements<const Element>(dout), s, elements<float>(delta));
    const auto in = inputs_of<Element>(s, qkv, segments);
    const Stacked<Element> to(s, dqkv);
    const AttentionGradients<Element> grad{heads_of<const Element>(dout, 0, s.H * s.D, s.T),
                                           elements<float>(lse),
                                           elements<float>(delta),
                                           to.q,
                                           to.k,
                                           to.v};
    if constexpr (!std::is_same_v<Element, float>) {
      if (on_tensor_cores<Element>(s, kernel)) {
        return tensor_core_backward(in, grad, kernel == AttentionKernel::small);
      }
    }
    plain_backward(in, grad);
  });
}

void attention_cached(const AttentionShape& s, const Tensor& qkv, const Tensor& keys,
                      const Tensor& values, const Tensor& positions, Arena& arena,
                      const Tensor& out, AttentionKernel kernel) {
  if (out.numel() == 0) return;
  const std::int64_t capacity = keys.dim(1), columns = s.K * s.D;
  on_element(qkv, "attention_cached", [&]<typename Element>(Element) {
    AttentionInputs<Element> in{s, Stacked<const Element>(s, qkv).q,
                                heads_of<const Element>(keys, 0, columns, capacity),
                                heads_of<const Element>(values, 0, columns, capacity)};
    if (positions) in.last_position = elements<const std::int32_t>(positions) + (s.T - 1);
    const auto to = heads_of<Element>(out, 0, out.dim(1), s.T);
    const bool few = s.T * (s.H / s.K) <= kFewQueries;
    if (few && splits_heads_of<Element>(s.D) && kernel != AttentionKernel::plain)
      return split_forward(in, to, arena);
    // The kernels on tensor cores know the number of keys from the host alone.
    run_forward(in, to, nullptr, positions ? AttentionKernel::plain : kernel);
  });
}

}  // namespace qlora::cuda
