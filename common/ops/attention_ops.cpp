// Attention's ops: what stands in ops/ops.h of them.
#include "ops/device.h"
#include "ops/ops.h"

namespace qlora::ops {
namespace {

// q, k and v as columns of one stacked tensor.
template <typename T, typename Element>
struct Stacked {
  cpu::Heads<Element> q, k, v;
  Stacked(const AttentionShape& s, const Tensor& qkv) {
    const std::int64_t row = (s.H + 2 * s.K) * s.D;
    T* data = qkv.data<T>();
    q = {data, row, s.T * row};
    k = {data + s.H * s.D, row, s.T * row};
    v = {data + (s.H + s.K) * s.D, row, s.T * row};
  }
};

void check(const AttentionShape& s, const Tensor& qkv, const char* op) {
  require(s.K > 0 && s.H % s.K == 0, op, "query heads that are a multiple of the key-value heads");
  require(qkv.shape() == Shape{s.B * s.T, (s.H + 2 * s.K) * s.D}, op, "qkv of (B·T, (H+2K)·D)");
}

void check_attention(const AttentionShape& s, const Tensor& qkv, const Tensor& segments,
                     const Tensor& out, const Tensor& lse, const char* op) {
  require(s.S == s.T, op, "as many keys as queries");
  require(!segments || segments.shape() == Shape{s.B, s.T}, op, "segments of (B,T)");
  check_room(out, s.B * s.T, s.H * s.D, op);
  require(out.dtype() == qkv.dtype(), op, "out in the dtype of qkv");
  require(lse.numel() == s.B * s.H * s.T, op, "lse of (B,H,T)");
}

}  // namespace

void attention_forward(const AttentionShape& s, const Tensor& qkv, const Tensor& segments,
                       const Tensor& out, const Tensor& lse,
                       [[maybe_unused]] AttentionKernel kernel) {
  constexpr const char* op = "attention_forward";
  check(s, qkv, op);
  check_attention(s, qkv, segments, out, lse, op);
  QLORA_ON_GPU(qkv, attention_forward(s, qkv, segments, out, lse, kernel));
  on_device(qkv, op, [&]<typename T>(T) {
    const Stacked<T, const T> in(s, qkv);
    cpu::attention_forward<T>(s, in.q, in.k, in.v, optional_data<std::int32_t>(segments),
                              out.data<T>(), lse.data<T>());
  });
}

void attention_backward(const AttentionShape& s, const Tensor& qkv, const Tensor& segments,
                        const Tensor& out, const Tensor& lse, const Tensor& dout,
                        [[maybe_unused]] Arena& arena, const Tensor& dqkv,
                        [[maybe_unused]] AttentionKernel kernel) {
  constexpr const char* op = "attention_backward";
  check(s, qkv, op);
  check_attention(s, qkv, segments, out, lse, op);
  check_room(dqkv, qkv.dim(0), qkv.dim(1), op);
  require(dout.shape() == Shape{s.B * s.T, s.H * s.D}, op, "dout of (B·T, H·D)");
  QLORA_ON_GPU(qkv, attention_backward(s, qkv, segments, out, lse, dout, arena, dqkv, kernel));
  on_device(qkv, op, [&]<typename T>(T) {
    const Stacked<T, const T> in(s, qkv);
    const Stacked<T, T> gradient(s, dqkv);
    cpu::attention_backward<T>(s, in.q, in.k, in.v, optional_data<std::int32_t>(segments),
                               out.data<T>(), lse.data<T>(), dout.data<T>(), gradient.q, gradient.k,
                               gradient.v);
  });
}

std::int64_t attention_scratch([[maybe_unused]] Device device,
                               [[maybe_unused]] const AttentionShape& shape,
                               [[maybe_unused]] DType arithmetic,
                               [[maybe_unused]] std::int64_t room_of_out,
                               [[maybe_unused]] std::int64_t room_of_dqkv) {
#if QLORA_HAS_CUDA
  if (device == Device::cuda) {
    return cuda::cudnn_scratch(shape, arithmetic, shape.H * shape.D + room_of_out,
                               (shape.H + 2 * shape.K) * shape.D + room_of_dqkv);
  }
#endif
  return 0;
}

void attention_cached(const AttentionShape& s, const Tensor& qkv, const Tensor& keys,
                      const Tensor& values, const Tensor& positions, Arena& arena,
                      const Tensor& out, [[maybe_unused]] AttentionKernel kernel) {
  constexpr const char* op = "attention_cached";
  check(s, qkv, op);
  require(keys.dim(0) == s.B && keys.dim(1) >= s.S && keys.dim(2) == s.K * s.D, op,
          "a cache of (B, capacity, K·D)");
  require(keys.shape() == values.shape() && keys.dtype() == qkv.dtype() && s.S >= s.T, op,
          "keys and values alike, in the dtype of qkv, the new ones among them");
  require(!positions || positions.numel() == s.B * s.T, op, "positions of (B·T)");
  QLORA_ON_GPU(qkv, attention_cached(s, qkv, keys, values, positions, arena, out, kernel));
  AttentionShape in_use = s;
  if (positions) in_use.S = positions.data<std::int32_t>()[s.T - 1] + 1;
  require(in_use.S >= s.T && in_use.S <= s.S, op, "positions behind each other, in the cache");
  on_device(qkv, op, [&]<typename T>(T) {
    const ArenaScope scope(arena);
    const std::int64_t row = s.K * s.D, batch = keys.dim(1) * row;
    T* lse = arena.values<T>({s.B, s.H, s.T});
    cpu::attention_forward<T>(in_use, Stacked<T, const T>(s, qkv).q, {keys.data<T>(), row, batch},
                              {values.data<T>(), row, batch}, nullptr, out.data<T>(), lse);
  });
}

}  // namespace qlora::ops
