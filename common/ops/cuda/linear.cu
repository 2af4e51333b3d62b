#include "ops/cuda/linear.h"

#include "ops/cuda/elementwise.h"
#include "ops/cuda/product.h"
#include "ops/cuda/quantization.h"

namespace qlora::cuda {
namespace {

constexpr auto kNo = Transpose::no;
constexpr auto kYes = Transpose::yes;

// The group's weight (ΣN,K) in the dtype of the arithmetic: as it is, or dequantized into the
// arena.
Tensor base_weight(const LinearGroup& group, DType dtype, Arena& arena) {
  if (group.weight) return group.weight;
  const Tensor weight = arena.take(dtype, {group.N(), group.K});
  std::int64_t row = 0;
  for (const Projection& part : group.parts) {
    if (!part.quantized) throw MachineLacks("a linear layer in int8 has no CUDA version");
    dequantize_4bit(*part.quantized, weight.rows(row, row + part.N));
    row += part.N;
  }
  return weight;
}

// A or B of an adapter in the dtype of the arithmetic.
Tensor in_dtype(const Tensor& weight, DType dtype, Arena& arena) {
  if (weight.dtype() == dtype) return weight;
  const Tensor rounded = arena.take(dtype, weight.shape());
  cast(weight, rounded);
  return rounded;
}

Dropout dropout_of(const DropoutRun& run, const Adapter& adapter) {
  if (!run.training) return {};
  return {adapter.dropout, {run.seed, stream_of(run.step, adapter.stream)}};
}

// drop(x): x itself where nothing is dropped.
Tensor dropped(const Tensor& x, const Dropout& how, Arena& arena) {
  if (how.p == 0) return x;
  const Tensor kept = arena.take(x.dtype(), x.shape());
  dropout(x, how, kept);
  return kept;
}

}  // namespace

void linear_forward(const LinearGroup& group, const Tensor& x, const Tensor& residual,
                    const DropoutRun& run, Arena& arena, const Tensor& y, LinearSaved* saved) {
  const std::int64_t tokens = x.dim(0);
  if (saved != nullptr) {
    saved->u.clear();
    for (const Projection& part : group.parts) {
      for (const Adapter& a : part.adapters) {
        saved->u.push_back(arena.take(x.dtype(), {tokens, a.A.dim(0)}));
      }
    }
  }
  const ArenaScope scope(arena);
  const Matrix out(y);
  product(kNo, Matrix(x), kYes, Matrix(base_weight(group, x.dtype(), arena)), 1.0f,
          residual ? 1.0f : 0.0f, residual ? Matrix(residual) : out, out);
  std::size_t index = 0;
  std::int64_t column = 0;
  for (const Projection& part : group.parts) {
    const Matrix columns = out.columns_from(column, part.N);
    for (const Adapter& a : part.adapters) {
      const ArenaScope adapter_scope(arena);
      const Tensor u =
          saved != nullptr ? saved->u[index++] : arena.take(x.dtype(), {tokens, a.A.dim(0)});
      const Tensor kept = dropped(x, dropout_of(run, a), arena);
      product(kNo, Matrix(kept), kYes, Matrix(in_dtype(a.A, x.dtype(), arena)), 1.0f, 0.0f,
              Matrix(u), Matrix(u));
      product(kNo, Matrix(u), kYes, Matrix(in_dtype(a.B, x.dtype(), arena)),
              static_cast<float>(a.scaling), 1.0f, columns, columns);
    }
    column += part.N;
  }
}

void linear_backward(const LinearGroup& group, const Tensor& x, const LinearSaved& saved,
                     const DropoutRun& run, const Tensor& dy, Arena& arena, const Tensor& dx) {
  const ArenaScope scope(arena);
  if (dx) {
    product(kNo, Matrix(dy), kNo, Matrix(base_weight(group, x.dtype(), arena)), 1.0f, 0.0f,
            Matrix(dx), Matrix(dx));
  }
  if (group.grad_weight) {
    const Matrix gradient(group.grad_weight);
    product(kYes, Matrix(dy), kNo, Matrix(x), 1.0f, 1.0f, gradient, gradient);
  }
  std::size_t index = 0;
  std::int64_t column = 0;
  for (const Projection& part : group.parts) {
    const Matrix g = Matrix(dy).columns_from(column, part.N);  // (T,N)
    for (const Adapter& a : part.adapters) {
      const ArenaScope adapter_scope(arena);
      const Dropout how = dropout_of(run, a);
      const float s = static_cast<float>(a.scaling);
      const Tensor& u = saved.u[index++];
      const Tensor du = arena.take(x.dtype(), u.shape());
      const Matrix grad_A(a.grad_A), grad_B(a.grad_B);
      product(kYes, g, kNo, Matrix(u), s, 1.0f, grad_B, grad_B);
      product(kNo, g, kNo, Matrix(in_dtype(a.B, x.dtype(), arena)), s, 0.0f, Matrix(du),
              Matrix(du));
      product(kYes, Matrix(du), kNo, Matrix(dropped(x, how, arena)), 1.0f, 1.0f, grad_A, grad_A);
      if (!dx) continue;
      const Tensor A = in_dtype(a.A, x.dtype(), arena);
      if (how.p == 0) {
        product(kNo, Matrix(du), kNo, Matrix(A), 1.0f, 1.0f, Matrix(dx), Matrix(dx));
      } else {
        const Tensor through = arena.take(x.dtype(), x.shape());
        product(kNo, Matrix(du), kNo, Matrix(A), 1.0f, 0.0f, Matrix(through), Matrix(through));
        add_dropout(through, how, dx);
      }
    }
    column += part.N;
  }
}

}  // namespace qlora::cuda
