// Low-rank adaptation of one linear layer: forward, backward, merge, initialization.
#pragma once

#include <cstdint>

#include "core/random.h"

namespace qlora {

/// Inverted dropout on the input of A: element i is kept where random.keeps(i, p), and divided by
/// 1-p. p = 0 is the identity (evaluation).
struct Dropout {
  float p = 0.0f;  ///< probability that an element is dropped
  Random random;   ///< decides which; the index is that of the element in x (T,K)
};

/// Sizes and weights of one adapter: A (R,K), B (N,R), s = lora_alpha / R (or / sqrt R).
template <typename T>
struct LoraWeights {
  /// In-features, out-features, rank.
  std::int64_t K = 0, N = 0, R = 0;

  const T* A = nullptr;  ///< (R,K)
  const T* B = nullptr;  ///< (N,R)
  T scaling = 0;         ///< s
};

/// s = lora_alpha / R; rank-stabilized, lora_alpha / sqrt(R) (PEFT: LoraLayer.update_layer).
/// @throws std::invalid_argument if R is below 1
double lora_scaling(double lora_alpha, std::int64_t R, bool use_rslora);

/// out (n) = drop(x): zero, or x / (1-p). The mask is a function of the element's index, so that
/// the backward pass finds the same one. out may be x.
template <typename T>
void drop(const Dropout& dropout, std::int64_t n, const T* x, T* out);

/// u (T,R) = drop(x) (T,K) · Aᵀ,   y (T,N) += s · u · Bᵀ.
///
/// PEFT: result = result + lora_B(lora_A(dropout(x))) * scaling (tuners/lora/layer.py).
/// @param tokens   T, rows of x, u and y
/// @param scratch  (T,K) where dropout.p > 0, else not used
/// @param u        (T,R), kept for the backward pass
/// @param ldy      distance between rows of y, at least N
template <typename T>
void lora_forward(const LoraWeights<T>& lora, std::int64_t tokens, const T* x,
                  const Dropout& dropout, T* scratch, T* u, T* y, std::int64_t ldy);

/// With g = s · dy:  dB (N,R) += gᵀ · u,  du (T,R) = g · B,  dA (R,K) += duᵀ · drop(x),
/// dx (T,K) += drop'(du · A).
///
/// At the first step B = 0, so dA is exactly zero.
/// @param scratch  (T,K) where dropout.p > 0, else not used
/// @param du       (T,R), overwritten
/// @param dx       may be nullptr: nobody needs the gradient of the input
template <typename T>
void lora_backward(const LoraWeights<T>& lora, std::int64_t tokens, const T* x, const T* u,
                   const Dropout& dropout, const T* dy, std::int64_t ldy, T* scratch, T* du, T* dA,
                   T* dB, T* dx);

/// W (N,K) += sign · s · B · A: merging (sign 1) and unmerging (sign -1) a dense weight
/// (PEFT: Linear.get_delta_weight).
template <typename T>
void lora_merge(const LoraWeights<T>& lora, T sign, T* W);

/// A (R,K) uniform in ±1/sqrt(K) (Kaiming-uniform with a = sqrt 5), B (N,R) zero: at the start the
/// adapter changes nothing (PEFT: reset_lora_parameters).
void lora_initialize(std::int64_t K, std::int64_t N, std::int64_t R, const Random& random, float* A,
                     float* B);

}  // namespace qlora
