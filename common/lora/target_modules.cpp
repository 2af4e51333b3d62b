#include "lora/target_modules.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>
#include <optional>
#include <set>

#include "core/error.h"

namespace qlora {
namespace {

// Python's re and PCRE2 agree on everything that patterns of module names use.
class Regex {
 public:
  Regex(const std::string& pattern, std::uint32_t options) : pattern_(pattern) {
    int error = 0;
    PCRE2_SIZE offset = 0;
    code_.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(), options,
                              &error, &offset, nullptr));
    if (!code_) fail(error, " (at character " + std::to_string(offset) + ")");
    match_.reset(pcre2_match_data_create_from_pattern(code_.get(), nullptr));
    if (!match_) throw std::bad_alloc();
  }

  bool matches(const std::string& text) const {
    const int found = pcre2_match(code_.get(), reinterpret_cast<PCRE2_SPTR>(text.data()),
                                  text.size(), 0, 0, match_.get(), nullptr);
    if (found < 0 && found != PCRE2_ERROR_NOMATCH) fail(found, "");
    return found > 0;
  }

  /// What the first pair of parentheses took at the last match.
  std::string first_group(const std::string& text) const {
    const PCRE2_SIZE* ends = pcre2_get_ovector_pointer(match_.get());
    return text.substr(ends[2], ends[3] - ends[2]);
  }

 private:
  struct Free {
    void operator()(pcre2_code* code) const { pcre2_code_free(code); }
    void operator()(pcre2_match_data* match) const { pcre2_match_data_free(match); }
  };

  [[noreturn]] void fail(int error, const std::string& where) const {
    std::array<PCRE2_UCHAR, 256> text{};
    pcre2_get_error_message(error, text.data(), text.size());
    throw UsageError("the pattern \"" + pattern_ +
                     "\" cannot be used: " + reinterpret_cast<const char*>(text.data()) + where);
  }

  std::string pattern_;
  std::unique_ptr<pcre2_code, Free> code_;
  std::unique_ptr<pcre2_match_data, Free> match_;
};

bool ends_with_part(const std::string& module, const std::string& entry) {
  return module.ends_with("." + entry);
}

bool is_named(const std::vector<std::string>& entries, const std::string& module) {
  return std::find(entries.begin(), entries.end(), module) != entries.end();
}

bool ends_with_any(const std::vector<std::string>& entries, const std::string& module) {
  return std::any_of(entries.begin(), entries.end(),
                     [&](const std::string& e) { return ends_with_part(module, e); });
}

bool matches(const NamesOrPattern& wanted, const std::string& module) {
  if (const auto* pattern = std::get_if<std::string>(&wanted)) {
    return matches_whole(*pattern, module);
  }
  const auto& entries = std::get<std::vector<std::string>>(wanted);
  return is_named(entries, module) || ends_with_any(entries, module);
}

bool is_all_linear(const std::string& pattern) {
  constexpr std::string_view word = "all-linear";
  return std::equal(pattern.begin(), pattern.end(), word.begin(), word.end(), [](char a, char b) {
    return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
  });
}

// The number behind the name of the layers' list: 3 in "model.layers.3.mlp.up_proj".
std::optional<std::int64_t> layer_of(const LoraConfig& config, const std::string& module) {
  std::vector<std::string> lists;
  if (config.layers_pattern) {
    const auto* one = std::get_if<std::string>(&*config.layers_pattern);
    lists = one != nullptr ? std::vector<std::string>{*one}
                           : std::get<std::vector<std::string>>(*config.layers_pattern);
    std::erase(lists, "");
  }
  if (lists.empty()) lists.emplace_back("[^.]*");
  for (const std::string& list : lists) {
    const Regex regex(".*\\." + list + "\\.(\\d+)\\.", PCRE2_ANCHORED);
    if (!regex.matches(module)) continue;
    const std::string digits = regex.first_group(module);
    std::int64_t layer = -1;
    std::from_chars(digits.data(), digits.data() + digits.size(), layer);
    return layer;
  }
  return std::nullopt;
}

bool is_wanted_layer(const LoraConfig& config, const std::string& module) {
  if (!config.layers_to_transform || config.layers_to_transform->empty()) return true;
  const std::optional<std::int64_t> layer = layer_of(config, module);
  const auto& wanted = *config.layers_to_transform;
  return layer && std::find(wanted.begin(), wanted.end(), *layer) != wanted.end();
}

const std::vector<std::string>& default_targets() {
  static const std::vector<std::string> names{"q_proj", "v_proj"};
  return names;
}

}  // namespace

bool matches_whole(const std::string& pattern, const std::string& text) {
  return Regex(pattern, PCRE2_ANCHORED | PCRE2_ENDANCHORED).matches(text);
}

bool is_all_linear(const std::optional<NamesOrPattern>& target_modules) {
  const auto* text = target_modules ? std::get_if<std::string>(&*target_modules) : nullptr;
  return text != nullptr && is_all_linear(*text);
}

NamesOrPattern names_or_pattern(const std::string& text) {
  if (is_all_linear(text) || text.find_first_of("\\.*+?()[]{}|^$") != std::string::npos)
    return text;
  std::vector<std::string> names;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    if (end > begin) names.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return names;
}

bool is_target_module(const LoraConfig& config, const std::string& module) {
  if (config.exclude_modules && matches(*config.exclude_modules, module)) return false;
  if (config.target_modules) {
    if (const auto* pattern = std::get_if<std::string>(&*config.target_modules)) {
      return is_all_linear(*pattern) || matches_whole(*pattern, module);
    }
  }
  const auto& entries = config.target_modules
                            ? std::get<std::vector<std::string>>(*config.target_modules)
                            : default_targets();
  // A module that is named in full is taken whatever its layer.
  if (is_named(entries, module)) return true;
  return ends_with_any(entries, module) && is_wanted_layer(config, module);
}

std::vector<std::string> find_target_modules(const LoraConfig& config,
                                             std::span<const std::string> linear_modules) {
  std::vector<std::string> found;
  for (const std::string& module : linear_modules) {
    if (is_target_module(config, module)) found.push_back(module);
  }
  if (found.empty()) {
    throw UsageError(
        "target_modules, exclude_modules and layers_to_transform leave no linear module of the "
        "model" +
        (linear_modules.empty() ? std::string() : ", which has e.g. " + linear_modules.front()));
  }
  return found;
}

std::vector<std::string> short_names(std::span<const std::string> modules) {
  std::set<std::string> names;
  for (const std::string& module : modules) names.insert(module.substr(module.rfind('.') + 1));
  return {names.begin(), names.end()};
}

}  // namespace qlora
