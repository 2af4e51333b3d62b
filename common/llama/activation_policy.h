// What a training pass keeps of each layer for its backward pass.
#pragma once

#include <array>
#include <string>
#include <string_view>

namespace qlora {

/// From the fastest to the one that takes the least memory. What is not kept is computed again in
/// the backward pass; the bits of the gradients are the same.
enum class ActivationPolicy {
  keep,        ///< all that a product made; the norms' and SwiGLU's outputs are computed again
  lean,        ///< layer inputs, and what attention and its output projection made
  checkpoint,  ///< layer inputs alone (transformers: --gradient-checkpointing)
  offload      ///< the same, in the host's memory
};

/// All of them, in that order.
inline constexpr std::array kActivationPolicies{ActivationPolicy::keep, ActivationPolicy::lean,
                                                ActivationPolicy::checkpoint,
                                                ActivationPolicy::offload};

/// "keep", "lean", "checkpoint", "offload".
std::string_view to_string(ActivationPolicy policy);

/// The policy of that name. @throws UsageError naming --activations on any other
ActivationPolicy activation_policy_from(const std::string& name);

}  // namespace qlora
