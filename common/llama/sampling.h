// The choice of the next token.
#pragma once

#include <cstdint>
#include <span>

namespace qlora {

/// How the next token is chosen (transformers: GenerationConfig).
struct Sampling {
  double temperature = 0.0;  ///< 0: the most likely token (greedy)
  std::int64_t top_k = 0;    ///< 0: off; else the k most likely tokens
  double top_p = 1.0;        ///< the smallest set of most likely tokens with more than this mass
  std::uint64_t seed = 0;    ///< of the draws; greedy makes none
};

/// One choice from logits (V) F32. Temperature, then top_k, then top_p, then a draw with the random
/// number of `index`; ties go to the lower id.
std::int32_t sample(std::span<const float> logits, const Sampling& sampling, std::uint64_t index);

}  // namespace qlora
