// Which modules of a model carry an adapter: PEFT's matching of names.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lora/config.h"

namespace qlora {

/// Whether a regular expression matches the whole text (Python: re.fullmatch).
/// @throws UsageError if it is not a regular expression, or too much work to match
bool matches_whole(const std::string& pattern, const std::string& text);

/// --target-modules as it is typed: "all-linear", a list a,b,c, or, where the text has one of the
/// signs of a regular expression, a pattern for whole names.
NamesOrPattern names_or_pattern(const std::string& text);

/// Whether target_modules is the word for every linear module, "all-linear" in any case.
bool is_all_linear(const std::optional<NamesOrPattern>& target_modules);

/// Whether config.target_modules names the linear module `module`, e.g.
/// "model.layers.0.self_attn.q_proj". An entry of a list matches a module of that name or one that
/// ends with "." and the entry; a string must match the whole name; "all-linear" (in any case)
/// matches all; exclude_modules is looked at first; layers_to_transform keeps, of the modules that
/// a list matches by their ending, those of these layers
/// (PEFT: check_target_module_exists, tuners/tuners_utils.py).
/// @throws UsageError on a string that is not a regular expression
bool is_target_module(const LoraConfig& config, const std::string& module);

/// The modules that carry an adapter, in the order given.
/// @param linear_modules  the linear layers of the decoder, without the output embedding
/// @throws UsageError if none matches
std::vector<std::string> find_target_modules(const LoraConfig& config,
                                             std::span<const std::string> linear_modules);

/// The target_modules that PEFT writes into adapter_config.json for these modules: last parts of
/// their names, sorted, each once.
std::vector<std::string> short_names(std::span<const std::string> modules);

}  // namespace qlora
