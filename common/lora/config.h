// What an adapter is: rank, scaling, and which modules carry it (PEFT's LoraConfig).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace qlora {

/// A list of names, or one string that is a regular expression.
using NamesOrPattern = std::variant<std::vector<std::string>, std::string>;

/// The fields of PEFT 0.21's LoraConfig that the course knows, under their names and with their
/// defaults (src/peft/tuners/lora/config.py).
struct LoraConfig {
  std::int64_t r = 8;                             ///< R, unless rank_pattern says otherwise
  double lora_alpha = 8.0;                        ///< scaling is lora_alpha / r
  double lora_dropout = 0.0;                      ///< probability, on the input of A
  bool use_rslora = false;                        ///< scaling is lora_alpha / sqrt(r)
  bool use_dora = false;                          ///< trained lengths of the rows, see lora/dora.h
  std::optional<NamesOrPattern> target_modules;   ///< none: q_proj and v_proj; or "all-linear"
  std::optional<NamesOrPattern> exclude_modules;  ///< taken out of target_modules
  std::optional<std::vector<std::int64_t>> layers_to_transform;  ///< indices; none: every layer
  std::optional<NamesOrPattern> layers_pattern;  ///< name of the list of layers; none: any
  std::vector<std::pair<std::string, std::int64_t>> rank_pattern;  ///< pattern, r
  std::vector<std::pair<std::string, double>> alpha_pattern;       ///< pattern, lora_alpha
  /// Kept for other programs: nothing here reads them.
  std::optional<std::string> base_model_name_or_path;
  std::optional<std::string> revision;
  std::optional<std::string> task_type;
};

/// r of a module: the value of the first entry of rank_pattern whose key matches as the regular
/// expression (.*\.)?(KEY)$ , else r (PEFT: get_pattern_key).
/// @throws UsageError if a key is not a regular expression
std::int64_t r_of(const LoraConfig& config, const std::string& module);

/// lora_alpha of a module, likewise from alpha_pattern. @throws UsageError
double alpha_of(const LoraConfig& config, const std::string& module);

/// s in y = x Wᵀ + s · x Aᵀ Bᵀ: lora_alpha / r, with use_rslora lora_alpha / sqrt(r).
/// @throws UsageError
double scaling_of(const LoraConfig& config, const std::string& module);

/// Checks what PEFT checks when the config is made: r and the ranks of rank_pattern of at least 1,
/// lora_dropout in [0, 1), finite alphas, no layers_to_transform or layers_pattern beside a
/// target_modules that is a string, no layers_pattern without layers_to_transform.
/// @throws UsageError naming the field
void validate(const LoraConfig& config);

}  // namespace qlora
