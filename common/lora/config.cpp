#include "lora/config.h"

#include <cmath>

#include "core/error.h"
#include "lora/lora.h"
#include "lora/target_modules.h"

namespace qlora {
namespace {

template <typename T>
T pattern_value(const std::vector<std::pair<std::string, T>>& patterns, const std::string& module,
                T otherwise) {
  for (const auto& [key, value] : patterns) {
    if (matches_whole("(.*\\.)?(" + key + ")", module)) return value;
  }
  return otherwise;
}

void check(bool holds, const std::string& problem) {
  if (!holds) throw UsageError(problem);
}

}  // namespace

std::int64_t r_of(const LoraConfig& config, const std::string& module) {
  return pattern_value(config.rank_pattern, module, config.r);
}

double alpha_of(const LoraConfig& config, const std::string& module) {
  return pattern_value(config.alpha_pattern, module, config.lora_alpha);
}

double scaling_of(const LoraConfig& config, const std::string& module) {
  return lora_scaling(alpha_of(config, module), r_of(config, module), config.use_rslora);
}

void validate(const LoraConfig& config) {
  check(config.r >= 1, "r is " + std::to_string(config.r) + ", expected at least 1");
  for (const auto& [key, r] : config.rank_pattern) {
    check(r >= 1, "rank_pattern: " + key + ": r is " + std::to_string(r) + ", expected at least 1");
  }
  check(std::isfinite(config.lora_alpha), "lora_alpha is not a finite number");
  for (const auto& [key, alpha] : config.alpha_pattern) {
    check(std::isfinite(alpha), "alpha_pattern: " + key + ": lora_alpha is not a finite number");
  }
  check(
      config.lora_dropout >= 0.0 && config.lora_dropout < 1.0,
      "lora_dropout is " + std::to_string(config.lora_dropout) + ", expected at least 0, below 1");

  const bool one_pattern = config.target_modules.has_value() &&
                           std::holds_alternative<std::string>(*config.target_modules);
  check(!one_pattern || !config.layers_to_transform,
        "layers_to_transform cannot be used when target_modules is a string");
  check(!one_pattern || !config.layers_pattern,
        "layers_pattern cannot be used when target_modules is a string");
  check(!config.layers_pattern || config.layers_to_transform,
        "layers_pattern needs layers_to_transform");
}

}  // namespace qlora
