#include <algorithm>
#include <array>
#include <cmath>

#include "checkpoint/peft_adapter.h"

namespace qlora {
namespace {

// Fields of PEFT 0.21's LoraConfig that are written as "off", and refused where they are not.
struct Feature {
  std::string_view field;
  enum class Off { null, no, empty } off;
};
constexpr std::array<Feature, 19> kFeatures{{
    {"alora_invocation_tokens", Feature::Off::null},
    {"arrow_config", Feature::Off::null},
    {"corda_config", Feature::Off::null},
    {"ensure_weight_tying", Feature::Off::no},
    {"eva_config", Feature::Off::null},
    {"fan_in_fan_out", Feature::Off::no},
    {"kasa_config", Feature::Off::null},
    {"layer_replication", Feature::Off::null},
    {"loftq_config", Feature::Off::empty},
    {"lora_bias", Feature::Off::no},
    {"lora_ga_config", Feature::Off::null},
    {"megatron_config", Feature::Off::null},
    {"modules_to_save", Feature::Off::null},
    {"monteclora_config", Feature::Off::null},
    {"target_parameters", Feature::Off::null},
    {"trainable_token_indices", Feature::Off::null},
    {"use_bdlora", Feature::Off::null},
    {"use_qalora", Feature::Off::no},
    {"velora_config", Feature::Off::null},
}};

// Fields that say nothing about how the adapter computes.
constexpr std::array<std::string_view, 6> kIgnored{"auto_mapping",      "inference_mode",
                                                   "megatron_core",     "peft_version",
                                                   "qalora_group_size", "runtime_config"};

constexpr std::array<std::string_view, 17> kRead{"alpha_pattern",
                                                 "base_model_name_or_path",
                                                 "bias",
                                                 "exclude_modules",
                                                 "init_lora_weights",
                                                 "layers_pattern",
                                                 "layers_to_transform",
                                                 "lora_alpha",
                                                 "lora_dropout",
                                                 "peft_type",
                                                 "r",
                                                 "rank_pattern",
                                                 "revision",
                                                 "target_modules",
                                                 "task_type",
                                                 "use_dora",
                                                 "use_rslora"};

bool is_off(const Json& value) {
  if (value.is_null()) return true;
  if (value.is_bool()) return !value.as_bool();
  return (value.is_array() || value.is_object()) && value.size() == 0;
}

template <std::size_t n>
bool contains(const std::array<std::string_view, n>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

std::optional<std::string> optional_string(const Json& json, std::string_view key) {
  const Json* value = json.find(key);
  return value == nullptr ? std::nullopt : std::optional(value->as_string());
}

std::optional<NamesOrPattern> names_or_pattern(const Json& json, std::string_view key) {
  const Json* value = json.find(key);
  if (value == nullptr) return std::nullopt;
  if (value->is_string()) return value->as_string();
  std::vector<std::string> names;
  for (const Json& name : value->as_array()) names.push_back(name.as_string());
  return names;
}

std::optional<std::vector<std::int64_t>> layers(const Json& json) {
  const Json* value = json.find("layers_to_transform");
  if (value == nullptr) return std::nullopt;
  if (value->is_integer()) return std::vector<std::int64_t>{value->as_integer()};
  std::vector<std::int64_t> numbers;
  for (const Json& number : value->as_array()) numbers.push_back(number.as_integer());
  return numbers;
}

bool flag(const Json& json, std::string_view key) {
  const Json* value = json.find(key);
  return value != nullptr && value->as_bool();
}

void check_initialization(const Json& json, const std::string& file) {
  const Json* init = json.find("init_lora_weights");
  if (init == nullptr || init->is_bool()) return;
  // The other methods change the base's weights, so that the adapter means nothing without them.
  if (init->as_string() != "gaussian" && init->as_string() != "orthogonal") {
    throw BadInput(file, "init_lora_weights", init->dump() + " is not supported");
  }
}

bool is_feature(std::string_view key) {
  return std::ranges::any_of(kFeatures, [&](const Feature& f) { return f.field == key; });
}

void check_features(const Json& json, const std::string& file) {
  for (const auto& [key, value] : json.as_object()) {
    if (is_feature(key) && !is_off(value)) {
      std::string found = value.dump();
      if (found.size() > 40) found = found.substr(0, 37) + "...";
      throw BadInput(file, key, "is " + found + ": this feature is not supported");
    }
  }
  if (const Json* bias = json.find("bias"); bias != nullptr && bias->as_string() != "none") {
    throw BadInput(file, "bias", bias->dump() + " is not supported, only \"none\"");
  }
  check_initialization(json, file);
}

Json to_json(const std::optional<std::string>& text) {
  return text ? Json(*text) : Json();
}

// Sets have no order in PEFT; sorted names make equal files.
Json to_json(const std::optional<NamesOrPattern>& value) {
  if (!value) return {};
  if (const auto* pattern = std::get_if<std::string>(&*value)) return *pattern;
  std::vector<std::string> names = std::get<std::vector<std::string>>(*value);
  std::sort(names.begin(), names.end());
  Json list = Json::array();
  for (const std::string& name : names) list.push_back(name);
  return list;
}

// lora_alpha is an int in PEFT, though it takes any number.
Json to_json(double alpha) {
  const bool whole = alpha == std::floor(alpha) && std::abs(alpha) < 1e15;
  return whole ? Json(static_cast<std::int64_t>(alpha)) : Json(alpha);
}

}  // namespace

std::vector<std::string> unknown_settings(const Json& json) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : json.as_object()) {
    const bool known = contains(kRead, key) || contains(kIgnored, key) || is_feature(key);
    if (!known && !is_off(value)) keys.push_back(key);
  }
  return keys;
}

LoraConfig lora_config_from_json(const Json& json, const std::string& file) {
  const std::string& type = json.at("peft_type").as_string();
  if (type != "LORA") {
    throw BadInput(file, "peft_type", "found \"" + type + "\", expected \"LORA\"");
  }
  check_features(json, file);
  LoraConfig config;
  if (const Json* r = json.find("r")) config.r = r->as_integer();
  if (const Json* alpha = json.find("lora_alpha")) config.lora_alpha = alpha->as_number();
  if (const Json* dropout = json.find("lora_dropout")) config.lora_dropout = dropout->as_number();
  config.use_rslora = flag(json, "use_rslora");
  config.use_dora = flag(json, "use_dora");
  config.target_modules = names_or_pattern(json, "target_modules");
  config.exclude_modules = names_or_pattern(json, "exclude_modules");
  config.layers_pattern = names_or_pattern(json, "layers_pattern");
  config.layers_to_transform = layers(json);
  if (const Json* ranks = json.find("rank_pattern")) {
    for (const auto& [key, r] : ranks->as_object()) {
      config.rank_pattern.emplace_back(key, r.as_integer());
    }
  }
  if (const Json* alphas = json.find("alpha_pattern")) {
    for (const auto& [key, alpha] : alphas->as_object()) {
      config.alpha_pattern.emplace_back(key, alpha.as_number());
    }
  }
  config.base_model_name_or_path = optional_string(json, "base_model_name_or_path");
  config.revision = optional_string(json, "revision");
  config.task_type = optional_string(json, "task_type");
  try {
    validate(config);
  } catch (const UsageError& e) {
    throw BadInput(file, "", e.what());
  }
  return config;
}

Json lora_config_to_json(const LoraConfig& config) {
  Json json = Json::object();
  for (const Feature& feature : kFeatures) {
    Json& value = json[feature.field];
    if (feature.off == Feature::Off::no) value = false;
    if (feature.off == Feature::Off::empty) value = Json::object();
  }
  json["auto_mapping"] = Json();
  json["base_model_name_or_path"] = to_json(config.base_model_name_or_path);
  json["bias"] = "none";
  json["exclude_modules"] = to_json(config.exclude_modules);
  json["inference_mode"] = true;
  json["init_lora_weights"] = true;
  json["layers_pattern"] = to_json(config.layers_pattern);
  Json& layer_list = json["layers_to_transform"];
  if (config.layers_to_transform) {
    layer_list = Json::array();
    for (const std::int64_t layer : *config.layers_to_transform) layer_list.push_back(layer);
  }
  json["lora_alpha"] = to_json(config.lora_alpha);
  json["lora_dropout"] = config.lora_dropout;
  json["megatron_core"] = "megatron.core";
  json["peft_type"] = "LORA";
  json["peft_version"] = "0.21.0";
  json["qalora_group_size"] = 16;
  json["r"] = config.r;
  Json& ranks = json["rank_pattern"] = Json::object();
  for (const auto& [key, r] : config.rank_pattern) ranks[key] = r;
  Json& alphas = json["alpha_pattern"] = Json::object();
  for (const auto& [key, alpha] : config.alpha_pattern) alphas[key] = to_json(alpha);
  json["revision"] = to_json(config.revision);
  json["target_modules"] = to_json(config.target_modules);
  json["task_type"] = to_json(config.task_type);
  json["use_dora"] = config.use_dora;
  json["use_rslora"] = config.use_rslora;
  return json;
}

}  // namespace qlora
