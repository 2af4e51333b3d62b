// Weight-decomposed adaptation of one linear layer: a length for every row of the weight, and LoRA
// for its direction (Liu et al., "DoRA: Weight-Decomposed Low-Rank Adaptation", arXiv 2402.09353).
#pragma once

#include "lora/lora.h"

namespace qlora {

/// norm (N) = ‖W + s · B · A‖ of each row of the weight (N,K), sums in float64. With B = 0 these
/// are the rows' own lengths, at which the magnitudes m start
/// (PEFT: DoraLinearLayer.get_weight_norm). A row of zeros has no direction: its norm counts as 1,
/// where PEFT divides by zero.
template <typename T>
void dora_norm(const LoraWeights<T>& lora, const T* W, T* norm);

/// u (T,R) = x · Aᵀ, and y with the rows of the weight at their lengths m (N): with c = m / norm
///
///     y (T,N) += (c − 1) ⊙ base + c ⊙ s · u · Bᵀ,   base (T,N) = x · Wᵀ
///
/// PEFT: DoraLinearLayer.forward. With dropout x is what was kept of the input, in `base` too,
/// while y was made of all of it.
/// @param tokens  T
/// @param norm    of dora_norm()
/// @param base    overwritten; nullptr: y itself is x · Wᵀ, which nothing was dropped of
/// @param u       kept for the backward pass
/// @param ldy     distance between rows of y, at least N
template <typename T>
void dora_forward(const LoraWeights<T>& lora, const T* m, const T* norm, std::int64_t tokens,
                  const T* x, T* base, T* u, T* y, std::int64_t ldy);

/// dm (N) += Σ_t dy ⊙ (base + s · u · Bᵀ) / norm, and g (T,N) = m / norm ⊙ dy: the gradient that
/// lora_backward() takes in the place of dy. The norm is a constant: no gradient passes through it
/// (section 4.3 of the paper).
/// @param base  x · Wᵀ of the forward pass's x, overwritten
template <typename T>
void dora_backward(const LoraWeights<T>& lora, const T* m, const T* norm, std::int64_t tokens,
                   const T* u, T* base, const T* dy, std::int64_t ldy, T* dm, T* g);

/// W (N,K) = m / norm ⊙ (W + s · B · A), the rows at their lengths
/// (PEFT: DoraLinearVariant.merge_unsafe).
/// @param norm  of dora_norm() on the weight before anything was merged into it
template <typename T>
void dora_merge(const LoraWeights<T>& lora, const T* m, const T* norm, T* W);

/// W (N,K) = norm / m ⊙ W − s · B · A: what was merged, taken out again. The norm has to be kept
/// from the merge: the merged weight no longer shows it.
/// @throws std::invalid_argument if a magnitude is zero: its row is lost
template <typename T>
void dora_unmerge(const LoraWeights<T>& lora, const T* m, const T* norm, T* W);

}  // namespace qlora
