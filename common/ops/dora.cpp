#include "ops/dora.h"

#include "core/matmul.h"
#include "lora/dora.h"

namespace qlora::cpu {
namespace {

constexpr auto kNo = Transpose::no;
constexpr auto kYes = Transpose::yes;

// What the adapter sees of x: all of it, or what dropout keeps.
template <typename T>
const T* seen(const PartOfGroup<T>& part, const Dropout& dropout, Arena& arena) {
  if (dropout.p == 0) return part.x;
  T* kept = arena.values<T>({part.tokens, part.K});
  drop(dropout, part.tokens * part.K, part.x, kept);
  return kept;
}

template <typename T>
const T* norm_of(const LoraWeights<T>& lora, const T* W, Arena& arena) {
  T* norm = arena.values<T>({lora.N});
  dora_norm(lora, W, norm);
  return norm;
}

// out (T,N) = x · Wᵀ
template <typename T>
void base_of(const PartOfGroup<T>& part, const T* x, T* out) {
  matmul<T>(kNo, kYes, part.tokens, part.N, part.K, T{1}, x, part.K, part.W, part.K, T{0}, out,
            part.N);
}

// dx (T,K) += g (T,N) · W, g's rows ld apart
template <typename T>
void add_through_base(const PartOfGroup<T>& part, const T* g, std::int64_t ld, T* dx) {
  matmul<T>(kNo, kNo, part.tokens, part.K, part.N, T{1}, g, ld, part.W, part.K, T{1}, dx, part.K);
}

}  // namespace

template <typename T>
LoraWeights<T> lora_weights(const Adapter& adapter, std::int64_t K, std::int64_t N) {
  return {K,
          N,
          adapter.A.dim(0),
          adapter.A.data<T>(),
          adapter.B.data<T>(),
          static_cast<T>(adapter.scaling)};
}

template <typename T>
void dora_part_forward(const PartOfGroup<T>& part, const Adapter& adapter, const Dropout& dropout,
                       Arena& arena, T* u, T* y) {
  const ArenaScope scope(arena);
  const LoraWeights<T> lora = lora_weights<T>(adapter, part.K, part.N);
  const T* norm = norm_of(lora, part.W, arena);
  const T* x = seen(part, dropout, arena);
  T* base = nullptr;  // y itself
  if (dropout.p > 0) {
    base = arena.values<T>({part.tokens, part.N});
    base_of(part, x, base);
  }
  dora_forward(lora, adapter.magnitude.data<T>(), norm, part.tokens, x, base, u, y, part.ld);
}

template <typename T>
void dora_part_backward(const PartOfGroup<T>& part, const Adapter& adapter, const Dropout& dropout,
                        Arena& arena, const T* u, const T* dy, T* dx) {
  const ArenaScope scope(arena);
  const std::int64_t tokens = part.tokens, N = part.N;
  const LoraWeights<T> lora = lora_weights<T>(adapter, part.K, N);
  const T* norm = norm_of(lora, part.W, arena);
  const T* x = seen(part, dropout, arena);
  T* base = arena.values<T>({tokens, N});
  T* g = arena.values<T>({tokens, N});
  base_of(part, x, base);
  dora_backward(lora, adapter.magnitude.data<T>(), norm, tokens, u, base, dy, part.ld,
                adapter.grad_magnitude.data<T>(), g);
  // Without dropout the base has the gradient of what is scaled, g; with it y is
  // x·Wᵀ + (c − 1) ⊙ drop(x)·Wᵀ + …: dy for the first term, g − dy through the mask for the second.
  if (dx != nullptr && dropout.p == 0) add_through_base(part, g, N, dx);
  if (dx != nullptr && dropout.p > 0) {
    add_through_base(part, dy, part.ld, dx);
    for (std::int64_t i = 0; i < tokens * N; ++i) base[i] = g[i] - dy[i / N * part.ld + i % N];
    T* through = arena.take_zeros(dtype_of<T>(), {tokens, part.K}).template data<T>();
    add_through_base(part, base, N, through);
    drop(dropout, tokens * part.K, through, through);
    for (std::int64_t i = 0; i < tokens * part.K; ++i) dx[i] += through[i];
  }
  T* scratch = dropout.p > 0 ? arena.values<T>({tokens, part.K}) : nullptr;
  lora_backward<T>(lora, tokens, part.x, u, dropout, g, N, scratch,
                   arena.values<T>({tokens, lora.R}), adapter.grad_A.data<T>(),
                   adapter.grad_B.data<T>(), dx);
}

template LoraWeights<float> lora_weights<float>(const Adapter&, std::int64_t, std::int64_t);
template LoraWeights<double> lora_weights<double>(const Adapter&, std::int64_t, std::int64_t);
template void dora_part_forward<float>(const PartOfGroup<float>&, const Adapter&, const Dropout&,
                                       Arena&, float*, float*);
template void dora_part_forward<double>(const PartOfGroup<double>&, const Adapter&, const Dropout&,
                                        Arena&, double*, double*);
template void dora_part_backward<float>(const PartOfGroup<float>&, const Adapter&, const Dropout&,
                                        Arena&, const float*, const float*, float*);
template void dora_part_backward<double>(const PartOfGroup<double>&, const Adapter&, const Dropout&,
                                         Arena&, const double*, const double*, double*);

}  // namespace qlora::cpu
