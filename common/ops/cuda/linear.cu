// Linear layers with LoRA on the GPU. Where nothing is dropped, the adapters of a group ride in the
// base's own products: with W (N,K) of the group, all A below each other, A (room,K), and all s·B
// in their projections' rows, B (N,room), one buffer
//
//     [ W  B ]  N rows of K + room columns    forward   y  = [x  u] · [W  B]ᵀ,  u  = x · Aᵀ
//     [ A  – ]  room rows                     backward  dx = [dy du] · [W; A],  du = dy · B
//
// serves both ways, and x and dy have room for u and du behind their rows. A thin product each and
// a little longer sum inside are all that the adapters cost beside their gradients.
#include <algorithm>

#include "ops/cuda/adapters.h"
#include "ops/cuda/base_weight.h"
#include "ops/cuda/device.h"
#include "ops/cuda/dora.h"
#include "ops/cuda/elementwise.h"
#include "ops/cuda/few_rows.h"
#include "ops/cuda/linear.h"
#include "ops/cuda/product.h"
#include "ops/cuda/timeline.h"
#include "ops/device_memory.h"
#include "ops/straight_through.h"

namespace qlora::cuda {
namespace {

constexpr auto kNo = Transpose::no;
constexpr auto kYes = Transpose::yes;
constexpr auto kLora = ops::Part::lora;  // what of a group's time is its adapters'

// The buffer of the head of this file, its three parts.
struct Folded {
  Matrix all;  // (N + room, K + room)
  Matrix A, B;

  Folded(const LinearGroup& group, DType dtype, Arena& arena) {
    const std::int64_t N = group.N(), K = group.K, room = group.room();
    const Tensor memory = arena.take(dtype, {N + room, K + room});
    all = Matrix(memory);
    A = all.rows_from(N, room).columns_from(0, K);
    B = all.rows_from(0, N).columns_from(K, room);
    write_base(group, arena, memory.rows(0, N));
    stack_A(group, A);
    stack_B(group, B);
  }
};

void folded_forward(const LinearGroup& group, const Tensor& x, const Tensor& residual, Arena& arena,
                    const Tensor& y, const LinearSaved* saved) {
  const std::int64_t N = group.N(), K = group.K, room = group.room();
  const Matrix in = Matrix(x).columns_from(0, K);
  if (!y) {  // only u is asked for
    const Matrix A(arena.take(x.dtype(), {room, K})), u(saved->u.at(0));
    stack_A(group, A);
    return product(kNo, in, kYes, A, 1.0f, 0.0f, u, u, kLora);
  }
  const Folded w(group, x.dtype(), arena);
  const Matrix u = Matrix(x).columns_from(K, room), out(y);
  product(kNo, in, kYes, w.A, 1.0f, 0.0f, u, u, kLora);
  if (saved != nullptr) copy_rows(u, Matrix(saved->u.at(0)));
  product(kNo, Matrix(x).columns_from(0, K + room), kYes, w.all.rows_from(0, N), 1.0f,
          residual ? 1.0f : 0.0f, residual ? Matrix(residual) : out, out);
}

void folded_backward(const LinearGroup& group, const Tensor& x, const LinearSaved& saved,
                     const Tensor& dy, Arena& arena, const Tensor& dx) {
  const std::int64_t N = group.N(), K = group.K, room = group.room();
  const Matrix g = Matrix(dy).columns_from(0, N), du = Matrix(dy).columns_from(N, room);
  if (dx) {
    const ArenaScope scope(arena);
    const Folded w(group, x.dtype(), arena);
    product(kNo, g, kNo, w.B, 1.0f, 0.0f, du, du, kLora);
    product(kNo, Matrix(dy).columns_from(0, N + room), kNo, w.all.columns_from(0, K), 1.0f, 0.0f,
            Matrix(dx), Matrix(dx));
  } else {
    const ArenaScope scope(arena);
    const Matrix B(arena.take(x.dtype(), {N, room}));
    stack_B(group, B);
    product(kNo, g, kNo, B, 1.0f, 0.0f, du, du, kLora);
  }
  const Matrix dA(arena.take(DType::f32, {room, K})), dB(arena.take(DType::f32, {N, room}));
  product(kYes, du, kNo, Matrix(x).columns_from(0, K), 1.0f, 0.0f, dA, dA, kLora);
  product(kYes, g, kNo, Matrix(saved.u.at(0)), 1.0f, 0.0f, dB, dB, kLora);
  add_gradients(group, dA, dB);
}

// A or B of an adapter in the dtype of the arithmetic.
Matrix in_dtype(const Tensor& weight, DType dtype, Arena& arena) {
  if (weight.dtype() == dtype) return Matrix(weight);
  const Tensor rounded = arena.take(dtype, weight.shape());
  const Timed timed(kLora);
  cast(weight, rounded);
  return Matrix(rounded);
}

// drop(x) (T,K) of x (T,ld): x itself where nothing is dropped.
Matrix dropped(const Tensor& x, std::int64_t K, const Dropout& how, Arena& arena) {
  const Matrix all = Matrix(x).columns_from(0, K);
  if (how.p == 0) return all;
  const Tensor kept = arena.take(x.dtype(), {x.dim(0), K});
  copy_rows(all, Matrix(kept));
  dropout(kept, how, kept);
  return Matrix(kept);
}

// What DoRA adds to the LoRA of forward_apart(): y (T,N), which is x · Wᵀ and becomes
// m / norm ⊙ (x · Wᵀ + s · u · Bᵀ), or with dropout what lora/dora.h says.
struct Dora {
  const Adapter& a;
  Tensor norm;

  Dora(const Adapter& adapter, const Matrix& W, Arena& arena)
      : a(adapter), norm(arena.take(DType::f32, {W.rows})) {
    dora_norm(W, a, norm);
  }
  // base (T,N) = x · Wᵀ + s · u · Bᵀ of what the adapter sees of x
  Matrix product_with(const Matrix& x, const Matrix& u, const Matrix& W, const Matrix& B,
                      Arena& arena) const {
    const Matrix base(arena.take(x.dtype, {x.rows, W.rows}));
    product(kNo, x, kYes, W, 1.0f, 0.0f, base, base, kLora);
    product(kNo, u, kYes, B, static_cast<float>(a.scaling), 1.0f, base, base, kLora);
    return base;
  }
};

// The adapters one by one, each with its own dropout of x.
void forward_apart(const LinearGroup& group, const Tensor& x, const Tensor& residual,
                   const DropoutRun& run, Arena& arena, const Tensor& y, const LinearSaved* saved) {
  const std::int64_t tokens = x.dim(0), K = group.K;
  const bool dora = y && std::ranges::any_of(group.parts, has_dora);
  const Tensor added = dora ? Tensor() : residual;  // what is scaled has no residual in it yet
  const Arena::Mark before = arena.mark();
  Matrix W;
  if (y) {
    const Matrix out(y);
    W = base_weight(group, x.dtype(), arena);
    product(kNo, Matrix(x).columns_from(0, K), kYes, W, 1.0f, added ? 1.0f : 0.0f,
            added ? Matrix(added) : out, out);
    if (!dora) arena.release(before);
  }
  std::size_t index = 0;
  std::int64_t column = 0;
  for (const Projection& part : group.parts) {
    for (const Adapter& a : part.adapters) {
      const ArenaScope scope(arena);
      const Matrix u(saved != nullptr ? saved->u.at(index++)
                                      : arena.take(x.dtype(), {tokens, a.A.dim(0)}));
      const Dropout how = dropout_of(run, a);
      const Matrix seen = dropped(x, K, how, arena);
      product(kNo, seen, kYes, in_dtype(a.A, x.dtype(), arena), 1.0f, 0.0f, u, u, kLora);
      if (!y) continue;
      const Matrix columns = Matrix(y).columns_from(column, part.N);
      const Matrix B = in_dtype(a.B, x.dtype(), arena);
      product(kNo, u, kYes, B, static_cast<float>(a.scaling), 1.0f, columns, columns, kLora);
      if (!a.magnitude) continue;
      const Dora of(a, W.rows_from(column, part.N), arena);
      if (how.p == 0) {
        scale_columns(columns, a.magnitude, of.norm, 0.0f, 0.0f, columns);
      } else {
        const Matrix base = of.product_with(seen, u, W.rows_from(column, part.N), B, arena);
        scale_columns(base, a.magnitude, of.norm, 1.0f, 1.0f, columns);
      }
    }
    column += part.N;
  }
  if (dora && residual) add_columns(Matrix(residual), Matrix(y));
}

// An adapter's gradients out of g (T,N), that of its LoRA's columns, and dx's part. `through`
// (T,K), with dropout, holds what else passes the same mask, and is added to dx with it.
void adapter_backward(const Adapter& a, const Matrix& g, const Tensor& x, std::int64_t K,
                      const Tensor& u, const Dropout& how, Arena& arena, const Tensor& through,
                      float keep, const Tensor& dx) {
  const auto s = static_cast<float>(a.scaling);
  const Matrix du(arena.take(x.dtype(), u.shape())), grad_A(a.grad_A), grad_B(a.grad_B);
  product(kYes, g, kNo, Matrix(u), s, 1.0f, grad_B, grad_B, kLora);
  product(kNo, g, kNo, in_dtype(a.B, x.dtype(), arena), s, 0.0f, du, du, kLora);
  product(kYes, du, kNo, dropped(x, K, how, arena), 1.0f, 1.0f, grad_A, grad_A, kLora);
  if (!dx) return;
  const Matrix A = in_dtype(a.A, x.dtype(), arena);
  if (how.p == 0) return product(kNo, du, kNo, A, 1.0f, 1.0f, Matrix(dx), Matrix(dx), kLora);
  product(kNo, du, kNo, A, 1.0f, keep, Matrix(through), Matrix(through), kLora);
  add_dropout(through, how, dx);
}

// What passes a projection with an adapter of DoRA, its base included; see cpu::dora_part_backward.
void dora_backward(const Adapter& a, const Matrix& g, const Matrix& W, const Tensor& x,
                   const Tensor& u, const Dropout& how, Arena& arena, const Tensor& dx) {
  const std::int64_t tokens = x.dim(0), K = W.columns;
  const Dora of(a, W, arena);
  const Matrix scaled(arena.take(x.dtype(), {tokens, W.rows}));
  scale_columns(g, a.magnitude, of.norm, 0.0f, 0.0f, scaled);
  const Tensor through = dx && how.p > 0 ? arena.take(x.dtype(), {tokens, K}) : Tensor();
  {
    const ArenaScope scope(arena);
    const Matrix base = of.product_with(dropped(x, K, how, arena), Matrix(u), W,
                                        in_dtype(a.B, x.dtype(), arena), arena);
    magnitude_gradient(g, base, of.norm, a.grad_magnitude);
    if (dx && how.p == 0) product(kNo, scaled, kNo, W, 1.0f, 1.0f, Matrix(dx), Matrix(dx));
    if (dx && how.p > 0) {
      product(kNo, g, kNo, W, 1.0f, 1.0f, Matrix(dx), Matrix(dx));
      scale_columns(g, a.magnitude, of.norm, 1.0f, 0.0f, base);
      product(kNo, base, kNo, W, 1.0f, 0.0f, Matrix(through), Matrix(through));
    }
  }
  adapter_backward(a, scaled, x, K, u, how, arena, through, 1.0f, dx);
}

// W (N,K) of a group with DoRA, whose parts add to dx what passes their base, too; else empty.
void backward_apart(const LinearGroup& group, const Tensor& x, const LinearSaved& saved,
                    const DropoutRun& run, const Tensor& dy, const Matrix& W, Arena& arena,
                    const Tensor& dx) {
  std::size_t index = 0;
  std::int64_t column = 0;
  for (const Projection& part : group.parts) {
    const Matrix g = Matrix(dy).columns_from(column, part.N);
    if (W.data != nullptr && dx && !has_dora(part)) {
      product(kNo, g, kNo, W.rows_from(column, part.N), 1.0f, 1.0f, Matrix(dx), Matrix(dx));
    }
    for (const Adapter& a : part.adapters) {
      const ArenaScope scope(arena);
      const Dropout how = dropout_of(run, a);
      const Tensor& u = saved.u.at(index++);
      if (a.magnitude) {
        dora_backward(a, g, W.rows_from(column, part.N), x, u, how, arena, dx);
      } else {
        const bool drops = dx && how.p > 0;
        const Tensor through = drops ? arena.take(x.dtype(), {x.dim(0), group.K}) : Tensor();
        adapter_backward(a, g, x, group.K, u, how, arena, through, 0.0f, dx);
      }
    }
    column += part.N;
  }
}

}  // namespace

void linear_forward(const LinearGroup& group, const Tensor& x, const Tensor& residual,
                    const DropoutRun& run, Arena& arena, const Tensor& y,
                    const LinearSaved* saved) {
  const ArenaScope scope(arena);
  if (saved == nullptr && !run.training && few_rows_serves(group, x)) {
    return few_rows_forward(group, x, residual, arena, y);
  }
  if (group.room() > 0) return folded_forward(group, x, residual, arena, y, saved);
  forward_apart(group, x, residual, run, arena, y, saved);
}

void linear_backward(const LinearGroup& group, const Tensor& x, const LinearSaved& saved,
                     const DropoutRun& run, const Tensor& dy, Arena& arena, const Tensor& dx) {
  const ArenaScope scope(arena);
  const Matrix g = Matrix(dy).columns_from(0, group.N());
  if (group.grad_weight) {
    const Matrix in = Matrix(x).columns_from(0, group.K);
    const auto add = [&](std::int64_t column, std::int64_t columns, const Tensor& dW) {
      const Matrix out(dW);
      product(kYes, g.columns_from(column, columns), kNo, in, 1.0f, 1.0f, out, out);
    };
    ops::add_weight_gradient(group, arena, add);
  }
  if (group.room() > 0) return folded_backward(group, x, saved, dy, arena, dx);
  if (std::ranges::any_of(group.parts, has_dora)) {
    const Matrix W = base_weight(group, x.dtype(), arena);
    if (dx) ops::fill_bytes(dx, 0);
    return backward_apart(group, x, saved, run, dy, W, arena, dx);
  }
  if (dx) {
    const ArenaScope base(arena);
    product(kNo, g, kNo, base_weight(group, x.dtype(), arena), 1.0f, 0.0f, Matrix(dx), Matrix(dx));
  }
  backward_apart(group, x, saved, run, dy, {}, arena, dx);
}

}  // namespace qlora::cuda
