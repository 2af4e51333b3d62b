#include "ops/ops.h"

#include "ops/cross_entropy.h"
#include "ops/device.h"
#include "ops/embedding.h"
#include "ops/geglu.h"
#include "ops/rms_norm.h"
#include "ops/rope.h"
#include "ops/swiglu.h"

namespace qlora::ops {
namespace {

void check_rows(const Tensor& a, const Tensor& b, const char* op) {
  require(a.shape() == b.shape() && a.dtype() == b.dtype(), op, "tensors of one shape and dtype");
}

}  // namespace

void embedding_forward(const Tensor& table, const Tensor& ids, const Tensor& x, double scale) {
  constexpr const char* op = "embedding_forward";
  const std::int64_t V = table.dim(0), C = table.dim(1);
  require(x.shape() == Shape{ids.numel(), C}, op, "x of (rows, C)");
  QLORA_ON_GPU(x, embedding_forward(table, ids, x, scale));
  for (std::int32_t id : ids.span<std::int32_t>()) require(id >= 0 && id < V, op, "ids below V");
  on_device(x, op, [&]<typename T>(T) {
    cpu::embedding_forward<T>(ids.numel(), C, table.data<T>(), ids.data<std::int32_t>(),
                              static_cast<T>(scale), x.data<T>());
  });
}

void embedding_backward(const Tensor& dx, const Tensor& ids, const Tensor& dtable, double scale) {
  constexpr const char* op = "embedding_backward";
  require(dx.shape() == Shape{ids.numel(), dtable.dim(1)}, op, "dx of (rows, C)");
  QLORA_ON_GPU(dx, embedding_backward(dx, ids, dtable, scale));
  on_device(dx, op, [&]<typename T>(T) {
    cpu::embedding_backward<T>(ids.numel(), dtable.dim(1), dx.data<T>(), ids.data<std::int32_t>(),
                               static_cast<T>(scale), dtable.data<T>());
  });
}

namespace {

// offset + weight (C): what a norm multiplies by. The weight itself where the offset is 0, else in
// `sums`.
template <typename T>
const T* factors(const Tensor& weight, double offset, std::vector<T>& sums) {
  if (offset == 0.0) return weight.data<T>();
  for (const T w : weight.span<T>()) sums.push_back(static_cast<T>(offset) + w);
  return sums.data();
}

}  // namespace

void rms_norm_forward(const Tensor& x, const Tensor& weight, double eps, const Tensor& y,
                      const Tensor& rstd, double offset) {
  constexpr const char* op = "rms_norm_forward";
  check_room(y, x.dim(0), x.dim(1), op);
  require(weight.numel() == x.dim(1) && rstd.numel() == x.dim(0), op, "weight (C) and rstd (rows)");
  QLORA_ON_GPU(x, rms_norm_forward(x, weight, eps, y, rstd, offset));
  on_device(x, op, [&]<typename T>(T) {
    std::vector<T> sums;
    cpu::rms_norm_forward<T>(x.dim(0), x.dim(1), x.data<T>(), factors(weight, offset, sums),
                             static_cast<T>(eps), y.data<T>(), rstd.data<T>());
  });
}

void rms_norm_backward(const Tensor& dy, const Tensor& x, const Tensor& weight, const Tensor& rstd,
                       const Tensor& dx, const Tensor& dweight, double offset) {
  constexpr const char* op = "rms_norm_backward";
  check_rows(dy, x, op);
  check_room(dx, x.dim(0), x.dim(1), op);
  QLORA_ON_GPU(x, rms_norm_backward(dy, x, weight, rstd, dx, dweight, offset));
  on_device(x, op, [&]<typename T>(T) {
    std::vector<T> sums;
    cpu::rms_norm_backward<T>(x.dim(0), x.dim(1), dy.data<T>(), x.data<T>(),
                              factors(weight, offset, sums), rstd.data<T>(), dx.data<T>(),
                              optional_data<T>(dweight));
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

void swiglu_forward(const Tensor& gate_up, const Tensor& y, GateActivation activation) {
  constexpr const char* op = "swiglu_forward";
  require(gate_up.dim(1) % 2 == 0, op, "gate_up of (rows, 2F)");
  check_room(y, gate_up.dim(0), gate_up.dim(1) / 2, op);
  QLORA_ON_GPU(y, swiglu_forward(gate_up, y, activation));
  on_device(y, op, [&]<typename T>(T) {
    const auto forward =
        activation == GateActivation::silu ? cpu::swiglu_forward<T> : cpu::geglu_forward<T>;
    forward(y.dim(0), y.dim(1), gate_up.data<T>(), y.data<T>());
  });
}

void swiglu_backward(const Tensor& gate_up, const Tensor& dy, const Tensor& dgate_up,
                     GateActivation activation) {
  constexpr const char* op = "swiglu_backward";
  check_room(dgate_up, dy.dim(0), 2 * dy.dim(1), op);
  require(gate_up.shape() == Shape{dy.dim(0), 2 * dy.dim(1)}, op, "gate_up of (rows, 2F)");
  QLORA_ON_GPU(dy, swiglu_backward(gate_up, dy, dgate_up, activation));
  on_device(dy, op, [&]<typename T>(T) {
    const auto backward =
        activation == GateActivation::silu ? cpu::swiglu_backward<T> : cpu::geglu_backward<T>;
    backward(dy.dim(0), dy.dim(1), gate_up.data<T>(), dy.data<T>(), dgate_up.data<T>());
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
  for (const Projection& p : group.parts) {
    require(!has_dora(p) || (p.adapters.size() == 1 && !group.grad_weight), op,
            "an adapter of DoRA alone on its projection, whose base is frozen");
  }
  QLORA_ON_GPU(x, linear_backward(group, x, saved, run, dy, arena, dx));
  on_device(x, op,
            [&]<typename T>(T) { cpu::linear_backward<T>(group, x, saved, run, dy, arena, dx); });
}

}  // namespace qlora::ops
