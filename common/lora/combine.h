// Several LoRA adapters of one linear layer made one: PEFT's add_weighted_adapter.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "lora/lora.h"

namespace qlora {

/// How adapters are combined. With w_i the weights and s_i the scalings, all results have
/// scaling 1.
enum class Combination {
  linear,  ///< the A and the B each added up: cheap, and not the sum of the updates
  cat,     ///< one beside the other: exactly Σ w_i s_i B_i A_i, at the sum of the ranks
  svd,     ///< the nearest matrix of a smaller rank to that sum
};

/// An adapter (of K, N and a rank of its own) and what it counts.
struct WeightedLora {
  LoraWeights<float> lora;  ///< scaling s
  double weight = 1.0;      ///< w
};

/// Two factors of rank R: A (R,K) and B (N,R).
struct LoraFactors {
  std::int64_t R = 0;    ///< rank
  std::vector<float> A;  ///< (R,K)
  std::vector<float> B;  ///< (N,R)
};

/// A = Σ sign(w_i s_i) √|w_i s_i| · A_i and B = Σ √|w_i s_i| · B_i. Their product has the terms
/// B_i A_j of different adapters, too, which nobody asked for (PEFT: combination_type="linear").
/// @throws std::invalid_argument without adapters, or if their sizes or ranks differ
LoraFactors combine_linear(std::span<const WeightedLora> adapters);

/// A = [w_1 s_1 A_1; w_2 s_2 A_2; …] below each other and B = [B_1 B_2 …] side by side: B · A is
/// the sum of the updates (PEFT: "cat"). @throws std::invalid_argument likewise, ranks may differ
LoraFactors combine_cat(std::span<const WeightedLora> adapters);

/// B (N,R) = U_R · diag(s_R) and A (R,K) = V_Rᵀ of the singular value decomposition of
/// Σ w_i s_i B_i A_i: no matrix of rank R is nearer to the sum (PEFT: "svd"). The (N,K) sum is
/// never made: its rank is that of its factors. Where it has fewer than R singular values, zeros
/// follow.
/// @throws std::invalid_argument as combine_cat, or on R below 1
LoraFactors combine_svd(std::span<const WeightedLora> adapters, std::int64_t R);

/// Rows of zeros below A and columns of zeros beside B up to a rank: the product stays.
/// @throws std::invalid_argument if R is below the factors' own
LoraFactors with_rank(const LoraFactors& factors, std::int64_t K, std::int64_t N, std::int64_t R);

}  // namespace qlora
