#include "llama/activation_policy.h"

#include "core/error.h"

namespace qlora {

std::string_view to_string(ActivationPolicy policy) {
  switch (policy) {
    case ActivationPolicy::keep:
      return "keep";
    case ActivationPolicy::lean:
      return "lean";
    case ActivationPolicy::checkpoint:
      return "checkpoint";
    case ActivationPolicy::offload:
      return "offload";
  }
  return "";
}

ActivationPolicy activation_policy_from(const std::string& name) {
  for (const ActivationPolicy policy : kActivationPolicies) {
    if (name == to_string(policy)) return policy;
  }
  throw UsageError("--activations must be keep, lean, checkpoint or offload");
}

}  // namespace qlora
