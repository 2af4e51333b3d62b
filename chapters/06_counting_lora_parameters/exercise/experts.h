// Task 3: counting in a mixture of experts. Nothing like it is in the tree.
#pragma once

#include <cstdint>

namespace qlora {

/// A decoder whose layers hold grouped-query attention and, in place of one MLP, E experts. A
/// layer's router sends each token to k of them. No map has a bias.
struct ExpertsShape {
  std::int64_t L = 0;  ///< layers
  std::int64_t C = 0;  ///< width of the model
  std::int64_t H = 0;  ///< query heads
  std::int64_t K = 0;  ///< key and value heads
  std::int64_t D = 0;  ///< width of a head
  std::int64_t F = 0;  ///< width of one expert
  std::int64_t E = 0;  ///< experts of a layer
  std::int64_t k = 0;  ///< of them, those that a token goes through
  std::int64_t V = 0;  ///< tokens
};

/// Which maps carry an adapter.
struct ExpertsTargets {
  bool attention = false;  ///< q (C -> H·D), k and v (C -> K·D each), o (H·D -> C)
  bool router = false;     ///< C -> E
  bool experts = false;    ///< gate and up (C -> F each), down (F -> C), of every expert
};

/// All parameters: embedding (V,C), a head (V,C) of its own, a last norm of C; in each layer two
/// norms of C, attention, router and experts.
std::int64_t experts_parameters(const ExpertsShape& shape);

/// What one token goes through: k experts of a layer instead of E, everything else. Embedding and
/// head count whole, as model cards count them.
std::int64_t experts_active_parameters(const ExpertsShape& shape);

/// Adapters of rank R on the targets: R (in + out) for each map.
std::int64_t experts_lora_parameters(const ExpertsShape& shape, const ExpertsTargets& targets,
                                     std::int64_t R);

/// Of those, the adapters that one token goes through.
std::int64_t experts_active_lora_parameters(const ExpertsShape& shape,
                                            const ExpertsTargets& targets, std::int64_t R);

}  // namespace qlora
