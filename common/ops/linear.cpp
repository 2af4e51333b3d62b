#include "ops/linear.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "core/matmul.h"
#include "ops/dora.h"
#include "ops/straight_through.h"

namespace qlora {
namespace cpu {
namespace {

constexpr auto kNo = Transpose::no;
constexpr auto kYes = Transpose::yes;

// The group's weight (ΣN,K): as it is, or dequantized, or as a pass sees it, in the arena.
template <typename T>
const T* base_weight(const LinearGroup& group, Arena& arena) {
  if (group.weight) return ops::seen_weight(group, arena).data<T>();
  const Tensor floats = arena.take(DType::f32, {group.N(), group.K});
  // [base]
  std::int64_t row = 0;
  for (const Projection& part : group.parts) {
    dequantize_codes(part, floats.data<float>() + row * group.K);
    row += part.N;
  }
  // [/base]
  if constexpr (std::is_same_v<T, float>) {
    return floats.data<float>();
  } else {
    const Tensor widened = arena.take(dtype_of<T>(), floats.shape());
    std::copy_n(floats.data<float>(), floats.numel(), widened.data<T>());
    return widened.data<T>();
  }
}

// y += x
template <typename T>
void add(const Tensor& x, const Tensor& y) {
  for (std::int64_t i = 0; i < y.numel(); ++i) y.data<T>()[i] += x.data<T>()[i];
}

// Whether the base's product is LLM.int8()'s, of codes.
template <typename T>
bool multiplies_codes(const LinearGroup& group) {
  return std::is_same_v<T, float> && group.parts.front().int8.has_value();
}

// y (T, ΣN) = x · Wᵀ, or added to the residual; W may be nullptr where codes are multiplied.
template <typename T>
void base_product(const LinearGroup& group, const Tensor& x, const Tensor& residual, const T* W,
                  Arena& arena, const Tensor& y) {
  const std::int64_t tokens = x.dim(0), K = group.K, N = group.N();
  if constexpr (std::is_same_v<T, float>) {
    if (multiplies_codes<T>(group)) {
      int8_product(group, x, arena, y.data<T>());
      if (residual) add<T>(residual, y);
      return;
    }
  }
  if (residual) std::memcpy(y.raw(), residual.raw(), y.nbytes());
  matmul<T>(kNo, kYes, tokens, N, K, T{1}, x.data<T>(), K, W, K, residual ? T{1} : T{0},
            y.data<T>(), N);
}

// The columns of a part, whose weight begins at W.
template <typename T>
PartOfGroup<T> part_of(const LinearGroup& group, const Projection& part, const Tensor& x,
                       const T* W) {
  return {x.dim(0), group.K, part.N, group.N(), x.data<T>(), W};
}

// Scratch (T,K) for the dropped-out input, only where there is dropout.
template <typename T>
T* dropout_scratch(const Dropout& dropout, std::int64_t tokens, std::int64_t K, Arena& arena) {
  return dropout.p > 0 ? arena.values<T>({tokens, K}) : nullptr;
}

// dx (T,K) = Σ dy · W over the parts whose base has the gradient dy itself.
template <typename T>
void base_backward(const LinearGroup& group, const T* W, const Tensor& dy, const Tensor& dx) {
  const std::int64_t tokens = dy.dim(0), K = group.K, N = group.N();
  if (std::ranges::none_of(group.parts, has_dora)) {
    matmul<T>(kNo, kNo, tokens, K, N, T{1}, dy.data<T>(), N, W, K, T{0}, dx.data<T>(), K);
    return;
  }
  dx.zero();
  const T* columns = dy.data<T>();
  for (const Projection& part : group.parts) {
    if (!has_dora(part)) {
      matmul<T>(kNo, kNo, tokens, K, part.N, T{1}, columns, N, W, K, T{1}, dx.data<T>(), K);
    }
    columns += part.N;
    W += part.N * K;
  }
}

}  // namespace

template <typename T>
void linear_forward(const LinearGroup& group, const Tensor& x, const Tensor& residual,
                    const DropoutRun& run, Arena& arena, const Tensor& y,
                    const LinearSaved* saved) {
  const std::int64_t tokens = x.dim(0), K = group.K, N = group.N();
  const ArenaScope scope(arena);
  const Tensor out = y ? y : arena.take_zeros(dtype_of<T>(), {tokens, N});  // only u is asked for
  const bool dora = y && std::ranges::any_of(group.parts, has_dora);
  const T* W = dora || (y && !multiplies_codes<T>(group)) ? base_weight<T>(group, arena) : nullptr;
  if (y) base_product<T>(group, x, dora ? Tensor() : residual, W, arena, out);
  std::size_t index = 0;
  T* columns = out.data<T>();
  for (const Projection& part : group.parts) {
    for (const Adapter& a : part.adapters) {
      const ArenaScope adapter_scope(arena);
      const Dropout dropout = dropout_of(run, a);
      const Tensor u =
          saved != nullptr ? saved->u[index++] : arena.take(dtype_of<T>(), {tokens, a.A.dim(0)});
      if (dora && a.magnitude) {
        dora_part_forward<T>(part_of<T>(group, part, x, W), a, dropout, arena, u.data<T>(),
                             columns);
      } else {
        lora_forward<T>(lora_weights<T>(a, K, part.N), tokens, x.data<T>(), dropout,
                        dropout_scratch<T>(dropout, tokens, K, arena), u.data<T>(), columns, N);
      }
    }
    columns += part.N;
    if (dora) W += part.N * K;
  }
  if (dora && residual) add<T>(residual, y);
}

template <typename T>
void linear_backward(const LinearGroup& group, const Tensor& x, const LinearSaved& saved,
                     const DropoutRun& run, const Tensor& dy, Arena& arena, const Tensor& dx) {
  const std::int64_t tokens = x.dim(0), K = group.K, N = group.N();
  const ArenaScope scope(arena);
  const bool dora = std::ranges::any_of(group.parts, has_dora);
  const T* W = dx || dora ? base_weight<T>(group, arena) : nullptr;
  if (dx) base_backward<T>(group, W, dy, dx);
  if (group.grad_weight) {
    const auto add = [&](std::int64_t column, std::int64_t columns, const Tensor& dW) {
      matmul<T>(kYes, kNo, columns, K, tokens, T{1}, dy.data<T>() + column, N, x.data<T>(), K, T{1},
                dW.data<T>(), K);
    };
    ops::add_weight_gradient(group, arena, add);
  }
  std::size_t index = 0;
  const T* columns = dy.data<T>();
  T* const through = dx ? dx.data<T>() : nullptr;
  for (const Projection& part : group.parts) {
    for (const Adapter& a : part.adapters) {
      const ArenaScope adapter_scope(arena);
      const Dropout dropout = dropout_of(run, a);
      const Tensor& u = saved.u[index++];
      if (a.magnitude) {
        dora_part_backward<T>(part_of<T>(group, part, x, W), a, dropout, arena, u.data<T>(),
                              columns, through);
      } else {
        lora_backward<T>(lora_weights<T>(a, K, part.N), tokens, x.data<T>(), u.data<T>(), dropout,
                         columns, N, dropout_scratch<T>(dropout, tokens, K, arena),
                         arena.values<T>(u.shape()), a.grad_A.data<T>(), a.grad_B.data<T>(),
                         through);
      }
    }
    columns += part.N;
    if (dora) W += part.N * K;
  }
}

template void linear_forward<float>(const LinearGroup&, const Tensor&, const Tensor&,
                                    const DropoutRun&, Arena&, const Tensor&, const LinearSaved*);
template void linear_forward<double>(const LinearGroup&, const Tensor&, const Tensor&,
                                     const DropoutRun&, Arena&, const Tensor&, const LinearSaved*);
template void linear_backward<float>(const LinearGroup&, const Tensor&, const LinearSaved&,
                                     const DropoutRun&, const Tensor&, Arena&, const Tensor&);
template void linear_backward<double>(const LinearGroup&, const Tensor&, const LinearSaved&,
                                      const DropoutRun&, const Tensor&, Arena&, const Tensor&);

}  // namespace cpu
}  // namespace qlora
