// Task 2: LoRA on an embedding. Nothing like it is in the tree.
#pragma once

#include <cstdint>
#include <span>

#include "core/random.h"

namespace qlora {

/// An adapter beside a frozen table E (V,C), which gives token v its row E[v]. Multiplied out, the
/// change of the table is s · (B · A)ᵀ (V,C).
struct EmbeddingLora {
  std::int64_t V = 0, C = 0, R = 0;  ///< tokens, width, rank
  const double* A = nullptr;         ///< (R,V): a column for each token
  const double* B = nullptr;         ///< (C,R)
  double scaling = 0.0;              ///< s = lora_alpha / R
};

/// y (T,C) += s · (column ids[t] of A)ᵀ · Bᵀ for each of the T tokens: what looking the token up in
/// the changed table would add (PEFT: lora.Embedding.forward).
void embedding_lora_forward(const EmbeddingLora& lora, std::span<const std::int32_t> ids,
                            double* y);

/// From dy (T,C), the gradient of y: adds to dA (R,V) and dB (C,R). A token may stand in ids more
/// than once; columns of dA whose token does not are left as they are. ids have no gradient.
void embedding_lora_backward(const EmbeddingLora& lora, std::span<const std::int32_t> ids,
                             const double* dy, double* dA, double* dB);

/// E (V,C) += sign · s · (B · A)ᵀ.
void embedding_lora_merge(const EmbeddingLora& lora, double sign, double* E);

/// A zero, B from N(0,1): element i of B is random.normal(i). At an embedding it is A that starts
/// at zero (PEFT: reset_lora_parameters).
void embedding_lora_initialize(std::int64_t V, std::int64_t C, std::int64_t R, const Random& random,
                               double* A, double* B);

}  // namespace qlora
