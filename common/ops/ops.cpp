#include "ops/ops.h"

#include "ops/cross_entropy.h"
#include "ops/device.h"
#include "ops/embedding.h"
#include "ops/rms_norm.h"
#include "ops/rope.h"
#include "ops/swiglu.h"

namespace qlora::ops {
namespace {

template <typename T>
T* optional_data(const Tensor& t) {
  return t ? t.data<T>() : nullptr;
}

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

// Rows of C columns, and on a GPU room behind them.
void check_room(const Tensor& t, std::int64_t rows, std::int64_t C, const char* op) {
  const bool fits = t.device() == Device::cpu ? t.dim(1) == C : t.dim(1) >= C;
  require(t.rank() == 2 && t.dim(0) == rows && fits, op, "rows of as many columns as it computes");
}

void check_attention(const AttentionShape& s, const Tensor& qkv, const Tensor& segments,
                     const Tensor& out, const Tensor& lse, const char* op) {
  require(s.S == s.T, op, "as many keys as queries");
  require(!segments || segments.shape() == Shape{s.B, s.T}, op, "segments of (B,T)");
  check_room(out, s.B * s.T, s.H * s.D, op);
  require(out.dtype() == qkv.dtype(), op, "out in the dtype of qkv");
  require(lse.numel() == s.B * s.H * s.T, op, "lse of (B,H,T)");
}

void check_rows(const Tensor& a, const Tensor& b, const char* op) {
  require(a.shape() == b.shape() && a.dtype() == b.dtype(), op, "tensors of one shape and dtype");
}

}  // namespace

void embedding_forward(const Tensor& table, const Tensor& ids, const Tensor& x) {
  constexpr const char* op = "embedding_forward";
  const std::int64_t V = table.dim(0), C = table.dim(1);
  require(x.shape() == Shape{ids.numel(), C}, op, "x of (rows, C)");
  QLORA_ON_GPU(x, embedding_forward(table, ids, x));
  for (std::int32_t id : ids.span<std::int32_t>()) require(id >= 0 && id < V, op, "ids below V");
  on_device(x, op, [&]<typename T>(T) {
    cpu::embedding_forward<T>(ids.numel(), C, table.data<T>(), ids.data<std::int32_t>(),
                              x.data<T>());
  });
}

void embedding_backward(const Tensor& dx, const Tensor& ids, const Tensor& dtable) {
  constexpr const char* op = "embedding_backward";
  require(dx.shape() == Shape{ids.numel(), dtable.dim(1)}, op, "dx of (rows, C)");
  QLORA_ON_GPU(dx, embedding_backward(dx, ids, dtable));
  on_device(dx, op, [&]<typename T>(T) {
    cpu::embedding_backward<T>(ids.numel(), dtable.dim(1), dx.data<T>(), ids.data<std::int32_t>(),
                               dtable.data<T>());
  });
}

void rms_norm_forward(const Tensor& x, const Tensor& weight, double eps, const Tensor& y,
                      const Tensor& rstd) {
  constexpr const char* op = "rms_norm_forward";
  check_room(y, x.dim(0), x.dim(1), op);
  require(weight.numel() == x.dim(1) && rstd.numel() == x.dim(0), op, "weight (C) and rstd (rows)");
  QLORA_ON_GPU(x, rms_norm_forward(x, weight, eps, y, rstd));
  on_device(x, op, [&]<typename T>(T) {
    cpu::rms_norm_forward<T>(x.dim(0), x.dim(1), x.data<T>(), weight.data<T>(), static_cast<T>(eps),
                             y.data<T>(), rstd.data<T>());
  });
}

void rms_norm_backward(const Tensor& dy, const Tensor& x, const Tensor& weight, const Tensor& rstd,
                       const Tensor& dx, const Tensor& dweight) {
  constexpr const char* op = "rms_norm_backward";
  check_rows(dy, x, op);
  check_room(dx, x.dim(0), x.dim(1), op);
  QLORA_ON_GPU(x, rms_norm_backward(dy, x, weight, rstd, dx, dweight));
  on_device(x, op, [&]<typename T>(T) {
    cpu::rms_norm_backward<T>(x.dim(0), x.dim(1), dy.data<T>(), x.data<T>(), weight.data<T>(),
                              rstd.data<T>(), dx.data<T>(), optional_data<T>(dweight));
  });
}

namespace {

void rotate(const char* op, const Tensor& x, std::int64_t heads, std::int64_t D,
            const Tensor& positions, const Tensor& cos, const Tensor& sin, int sign) {
  require(heads * D <= x.dim(1) && D % 2 == 0, op, "an even head size and heads within a row");
  require(positions.numel() == x.dim(0), op, "a position for every row");
  require(cos && cos.dim(1) == D / 2 && sin.shape() == cos.shape(), op, "tables of (P, D/2)");
  QLORA_ON_GPU(x, rope(x, heads, D, positions, cos, sin, static_cast<float>(sign)));
  on_device(x, op, [&]<typename T>(T) {
    for (const std::int32_t p : positions.span<std::int32_t>()) {
      require(p >= 0 && p < cos.dim(0), op, "a table that covers every position");
    }
    cpu::rope<T>(x.dim(0), x.dim(1), heads, D, positions.data<std::int32_t>(), cos.data<float>(),
                 sin.data<float>(), static_cast<T>(sign), x.data<T>());
  });
}

}  // namespace

void rope_forward(const Tensor& x, std::int64_t heads, std::int64_t D, const Tensor& positions,
                  const Tensor& cos, const Tensor& sin) {
  rotate("rope_forward", x, heads, D, positions, cos, sin, 1);
}

void rope_backward(const Tensor& dx, std::int64_t heads, std::int64_t D, const Tensor& positions,
                   const Tensor& cos, const Tensor& sin) {
  rotate("rope_backward", dx, heads, D, positions, cos, sin, -1);
}

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

void swiglu_forward(const Tensor& gate_up, const Tensor& y) {
  constexpr const char* op = "swiglu_forward";
  require(gate_up.dim(1) % 2 == 0, op, "gate_up of (rows, 2F)");
  check_room(y, gate_up.dim(0), gate_up.dim(1) / 2, op);
  QLORA_ON_GPU(y, swiglu_forward(gate_up, y));
  on_device(y, op, [&]<typename T>(T) {
    cpu::swiglu_forward<T>(y.dim(0), y.dim(1), gate_up.data<T>(), y.data<T>());
  });
}

void swiglu_backward(const Tensor& gate_up, const Tensor& dy, const Tensor& dgate_up) {
  constexpr const char* op = "swiglu_backward";
  check_room(dgate_up, dy.dim(0), 2 * dy.dim(1), op);
  require(gate_up.shape() == Shape{dy.dim(0), 2 * dy.dim(1)}, op, "gate_up of (rows, 2F)");
  QLORA_ON_GPU(dy, swiglu_backward(gate_up, dy, dgate_up));
  on_device(dy, op, [&]<typename T>(T) {
    cpu::swiglu_backward<T>(dy.dim(0), dy.dim(1), gate_up.data<T>(), dy.data<T>(),
                            dgate_up.data<T>());
  });
}

void linear_forward(const LinearGroup& group, const Tensor& x, const Tensor& residual,
                    const DropoutRun& run, Arena& arena, const Tensor& y,
                    const LinearSaved* saved) {
  constexpr const char* op = "linear_forward";
  check_room(x, x.dim(0), group.K, op);
  require(x.dim(1) >= group.K + group.room(), op, "x with room for the adapters");
  require(y ? y.shape() == Shape{x.dim(0), group.N()} : saved != nullptr, op, "y of (T,N)");
  if (residual) check_rows(residual, y, op);
  QLORA_ON_GPU(x, linear_forward(group, x, residual, run, arena, y, saved));
  on_device(x, op, [&]<typename T>(T) {
    cpu::linear_forward<T>(group, x, residual, run, arena, y, saved);
  });
}

void linear_backward(const LinearGroup& group, const Tensor& x, const LinearSaved& saved,
                     const DropoutRun& run, const Tensor& dy, Arena& arena, const Tensor& dx) {
  constexpr const char* op = "linear_backward";
  check_room(x, x.dim(0), group.K, op);
  check_room(dy, x.dim(0), group.N(), op);
  require(dy.dim(1) >= group.N() + group.room(), op, "dy with room for the adapters");
  if (dx) require(dx.shape() == Shape{x.dim(0), group.K}, op, "dx of (T,K)");
  QLORA_ON_GPU(x, linear_backward(group, x, saved, run, dy, arena, dx));
  on_device(x, op,
            [&]<typename T>(T) { cpu::linear_backward<T>(group, x, saved, run, dy, arena, dx); });
}

}  // namespace qlora::ops
