#include <algorithm>

#include "checkpoint/bitsandbytes.h"
#include "checkpoint/eight_bit.h"
#include "core/error.h"
#include "lora/target_modules.h"

namespace qlora {
namespace {

bool flag(const Json& json, std::string_view key) {
  const Json* value = json.find(key);
  return value != nullptr && value->as_bool();
}

[[noreturn]] void refuse(const ModelFolder& folder, const std::string& place,
                         const std::string& problem) {
  throw BadInput(folder.path + "/config.json", place, problem);
}

// Whether an entry of llm_int8_skip_modules names the module: a regular expression for the
// beginning of its name, up to the end of a part, or the plain end of it (transformers 5.23:
// should_convert_module, quantizers/quantizers_utils.py).
bool names(const std::string& entry, const std::string& module) {
  const std::string boundary = R"((?:(?<=\.)|(?=\.|$)))";
  return module.ends_with(entry) || matches_whole("(?:" + entry + ")" + boundary + ".*", module);
}

// A weight that is stored in 4 bits, and how.
struct StoredWeight {
  std::string name;
  QuantType type;
  bool nested;
};

std::vector<StoredWeight> stored_weights(const TensorFiles& tensors) {
  std::vector<StoredWeight> stored;
  constexpr std::string_view key = ".quant_state.bitsandbytes__";
  for (const std::string& name : tensors.names()) {
    const std::size_t at = name.rfind(key);
    if (at == std::string::npos) continue;
    const std::string weight = name.substr(0, at);
    const std::string type = name.substr(at + key.size());
    if (type != "nf4" && type != "fp4") {
      throw BadInput(tensors.path(), name, "the type " + type + " is not known");
    }
    stored.push_back({weight, type == "nf4" ? QuantType::nf4 : QuantType::fp4,
                      tensors.has(weight + ".nested_absmax")});
  }
  return stored;
}

bool has_int8(const TensorFiles& tensors) {
  const std::vector<std::string> names = tensors.names();
  return std::any_of(names.begin(), names.end(),
                     [&](const std::string& name) { return is_stored_in_int8(tensors, name); });
}

void check_8bit(const ModelFolder& folder, const std::vector<StoredWeight>& in_4bit) {
  if (!in_4bit.empty()) {
    refuse(folder, "quantization_config",
           "says 8 bits, but " + in_4bit.front().name + " is stored in 4 bits");
  }
  if (!has_int8(folder.tensors)) {
    refuse(folder, "quantization_config", "is there, but no weight is in 8 bits");
  }
}

}  // namespace

Json BitsAndBytesConfig::to_json() const {
  Json json = Json::object();
  json["_load_in_4bit"] = !load_in_8bit;
  json["_load_in_8bit"] = load_in_8bit;
  json["bnb_4bit_compute_dtype"] = std::string(python_name(compute_dtype));
  json["bnb_4bit_quant_storage"] = "uint8";
  json["bnb_4bit_quant_type"] = std::string(to_string(quant_type));
  json["bnb_4bit_use_double_quant"] = use_double_quant;
  json["llm_int8_enable_fp32_cpu_offload"] = false;
  json["llm_int8_has_fp16_weight"] = false;
  Json& skip = json["llm_int8_skip_modules"];
  if (skip_modules) {
    skip = Json::array();
    for (const std::string& module : *skip_modules) skip.push_back(module);
  }
  json["llm_int8_threshold"] = 6.0;
  json["load_in_4bit"] = !load_in_8bit;
  json["load_in_8bit"] = load_in_8bit;
  json["quant_method"] = "bitsandbytes";
  return json;
}

BitsAndBytesConfig BitsAndBytesConfig::from_json(const Json& json, const std::string& file) {
  const auto check = [&](bool holds, const std::string& key, const std::string& expected) {
    if (holds) return;
    const Json* found = json.find(key);
    throw BadInput(
        file, "quantization_config." + key,
        "found " + (found == nullptr ? "nothing" : found->dump()) + ", expected " + expected);
  };
  const Json* method = json.find("quant_method");
  check(method == nullptr || method->as_string() == "bitsandbytes", "quant_method",
        "\"bitsandbytes\", the only method that is supported");
  BitsAndBytesConfig config;
  config.load_in_8bit = flag(json, "load_in_8bit");
  check(flag(json, "load_in_4bit") != config.load_in_8bit, "load_in_4bit",
        config.load_in_8bit ? "false beside load_in_8bit" : "true");
  if (config.load_in_8bit) {
    const Json* threshold = json.find("llm_int8_threshold");
    check(threshold == nullptr || threshold->as_number() == 6.0, "llm_int8_threshold",
          "6.0, the only threshold that is supported");
  }
  if (const Json* type = json.find("bnb_4bit_quant_type")) {
    const bool nf4 = type->as_string() == "nf4";
    check(nf4 || type->as_string() == "fp4", "bnb_4bit_quant_type", "\"nf4\" or \"fp4\"");
    config.quant_type = nf4 ? QuantType::nf4 : QuantType::fp4;
  }
  config.use_double_quant = flag(json, "bnb_4bit_use_double_quant");
  if (const Json* dtype = json.find("bnb_4bit_compute_dtype")) {
    const DType known = dtype_from_python(dtype->as_string()).value_or(DType::i8);
    check(is_floating(known) && known != DType::f64, "bnb_4bit_compute_dtype",
          "\"float32\", \"float16\" or \"bfloat16\"");
    config.compute_dtype = known;
  }
  if (const Json* skip = json.find("llm_int8_skip_modules")) {
    config.skip_modules.emplace();
    for (const Json& entry : skip->as_array()) {
      try {
        names(entry.as_string(), "any");
      } catch (const UsageError& e) {
        throw BadInput(file, "quantization_config.llm_int8_skip_modules", e.what());
      }
      config.skip_modules->push_back(entry.as_string());
    }
  }
  return config;
}

std::optional<BitsAndBytesConfig> quantization_of(const ModelFolder& folder) {
  const std::vector<StoredWeight> stored = stored_weights(folder.tensors);
  const Json* json = folder.config.find("quantization_config");
  if (json == nullptr) {
    if (has_int8(folder.tensors)) {
      refuse(folder, "quantization_config", "is missing, but weights are stored in 8 bits");
    }
    if (stored.empty()) return std::nullopt;
    refuse(folder, "quantization_config",
           "is missing, but " + stored.front().name + " is stored in 4 bits");
  }
  BitsAndBytesConfig config = BitsAndBytesConfig::from_json(*json, folder.path + "/config.json");
  if (config.load_in_8bit) {
    check_8bit(folder, stored);
    return config;
  }
  if (stored.empty()) refuse(folder, "quantization_config", "is there, but no weight is in 4 bits");
  for (const StoredWeight& weight : stored) {
    if (weight.type != config.quant_type || weight.nested != config.use_double_quant) {
      refuse(folder, "quantization_config",
             "says " + std::string(to_string(config.quant_type)) +
                 (config.use_double_quant ? " with" : " without") + " double quantization, but " +
                 weight.name + " is " + std::string(to_string(weight.type)) +
                 (weight.nested ? " with" : " without"));
    }
  }
  return config;
}

bool is_quantizable(const TensorInfo& tensor, const BitsAndBytesConfig& config) try {
  constexpr std::string_view ending = ".weight";
  if (!tensor.name.starts_with("model.layers.") || !tensor.name.ends_with(ending) ||
      tensor.shape.size() != 2 || !is_floating(tensor.dtype)) {
    return false;
  }
  const std::string module = tensor.name.substr(0, tensor.name.size() - ending.size());
  return !config.skip_modules ||
         std::ranges::none_of(*config.skip_modules,
                              [&](const std::string& entry) { return names(entry, module); });
} catch (const UsageError& e) {  // a pattern that is too much work to match
  throw BadInput("config.json", "quantization_config.llm_int8_skip_modules", e.what());
}

}  // namespace qlora
