#include "checkpoint/peft_adapter.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <set>

#include "core/files.h"
#include "lora/target_modules.h"

namespace qlora {
namespace {

constexpr std::string_view kPrefix = "base_model.model.";
// In the order of AdapterTensor. PEFT writes the magnitude without ".weight".
constexpr std::array<std::string_view, 3> kEnds{".lora_A.weight", ".lora_B.weight",
                                                ".lora_magnitude_vector"};

// What a tensor that is neither A nor B would be in PEFT.
std::string_view known_kind(const std::string& name) {
  if (name.find(".lora_embedding_") != std::string::npos) return "an adapter of an embedding";
  if (name.ends_with(".lora_B.bias")) return "a bias of lora_bias";
  if (name.find(".lora_") == std::string::npos) return "a weight of modules_to_save";
  return "of no kind that is known here";
}

// The modules that the file has tensors of an adapter of; anything else is refused.
std::set<std::string> modules_of(const SafetensorsFile& tensors) {
  std::set<std::string> modules;
  for (const TensorInfo& t : tensors.tensors()) {
    const std::string& name = t.name;
    const auto* end = std::ranges::find_if(
        kEnds, [&](std::string_view ending) { return name.ends_with(ending); });
    if (!name.starts_with(kPrefix) || end == kEnds.end()) {
      throw BadInput(tensors.path(), name,
                     std::string("is ").append(known_kind(name)) + ", expected " +
                         adapter_tensor_name("<module>", AdapterTensor::A) + " or lora_B");
    }
    if (name.size() <= kPrefix.size() + end->size())
      throw BadInput(tensors.path(), name, "names no module");
    modules.insert(name.substr(kPrefix.size(), name.size() - kPrefix.size() - end->size()));
  }
  if (modules.empty()) throw BadInput(tensors.path(), "", "holds no adapter");
  return modules;
}

Tensor take(const SafetensorsFile& tensors, const std::string& name, std::size_t rank_dimension,
            std::int64_t r) {
  if (!tensors.has(name)) throw BadInput(tensors.path(), name, "is missing");
  const TensorInfo& info = tensors.info(name);
  if (!is_floating(info.dtype) || info.shape.size() != 2) {
    throw BadInput(tensors.path(), name,
                   "is " + std::string(safetensors_name(info.dtype)) + to_string(info.shape) +
                       ", expected a matrix of a floating-point dtype");
  }
  if (info.shape[rank_dimension] != r) {
    throw BadInput(tensors.path(), name,
                   "has the shape " + to_string(info.shape) +
                       ", but adapter_config.json says r = " + std::to_string(r));
  }
  return tensors.tensor(name);
}

// The lengths of a module's N rows, which are there where the configuration says use_dora.
Tensor take_magnitude(const SafetensorsFile& tensors, const std::string& module, std::int64_t N,
                      bool use_dora) {
  const std::string name = adapter_tensor_name(module, AdapterTensor::magnitude);
  if (!use_dora) {
    if (!tensors.has(name)) return {};
    throw BadInput(tensors.path(), name,
                   "is a magnitude of DoRA, but adapter_config.json says use_dora = false");
  }
  if (!tensors.has(name)) throw BadInput(tensors.path(), name, "is missing");
  const TensorInfo& info = tensors.info(name);
  if (!is_floating(info.dtype) || info.shape != Shape{N}) {
    throw BadInput(tensors.path(), name,
                   "is " + std::string(safetensors_name(info.dtype)) + to_string(info.shape) +
                       ", expected " + std::to_string(N) + " lengths of a floating-point dtype");
  }
  return tensors.tensor(name);
}

// A folder is read several times: what is saved again is looked at before the base is loaded.
void say_unknown_settings(const Json& config, const std::string& file) {
  static std::set<std::string> said;
  std::string keys;
  for (const std::string& key : unknown_settings(config)) {
    keys += (keys.empty() ? "" : ", ") + Json(key).dump();
  }
  if (keys.empty() || !said.insert(file).second) return;
  std::fprintf(stderr, "%s: left out, as not known: %s\n", file.c_str(), keys.c_str());
}

}  // namespace

std::string adapter_tensor_name(const std::string& module, AdapterTensor tensor) {
  return std::string(kPrefix).append(module).append(kEnds[static_cast<std::size_t>(tensor)]);
}

PeftAdapter parse_adapter(const Json& config, const std::string& config_file,
                          const SafetensorsFile& tensors) {
  PeftAdapter adapter;
  adapter.config = lora_config_from_json(config, config_file);
  for (const std::string& module : modules_of(tensors)) {
    std::int64_t r = 0;
    try {
      if (adapter.config.target_modules && !is_target_module(adapter.config, module)) {
        throw BadInput(tensors.path(), module, "is not among adapter_config.json's target_modules");
      }
      r = r_of(adapter.config, module);
    } catch (const UsageError& e) {  // a pattern that is not a regular expression
      throw BadInput(config_file, "", e.what());
    }
    const Tensor A = take(tensors, adapter_tensor_name(module, AdapterTensor::A), 0, r);
    const Tensor B = take(tensors, adapter_tensor_name(module, AdapterTensor::B), 1, r);
    adapter.modules.push_back(
        {module, A, B, take_magnitude(tensors, module, B.dim(0), adapter.config.use_dora)});
  }
  return adapter;
}

PeftAdapter read_adapter(const std::string& folder) {
  const std::string config_file = folder + "/adapter_config.json";
  const Json config = Json::read(config_file);
  say_unknown_settings(config, config_file);
  PeftAdapter adapter = parse_adapter(config, config_file,
                                      SafetensorsFile::open(folder + "/adapter_model.safetensors"));
  adapter.path = folder;
  return adapter;
}

void write_adapter(const std::string& folder, const PeftAdapter& adapter) {
  make_folder(folder);
  NamedTensors tensors;
  for (const LoraModule& m : adapter.modules) {
    tensors.emplace_back(adapter_tensor_name(m.module, AdapterTensor::A), m.A);
    tensors.emplace_back(adapter_tensor_name(m.module, AdapterTensor::B), m.B);
    if (m.magnitude) {
      tensors.emplace_back(adapter_tensor_name(m.module, AdapterTensor::magnitude), m.magnitude);
    }
  }
  write_safetensors(folder + "/adapter_model.safetensors", tensors);
  write_atomically(folder + "/adapter_config.json",
                   lora_config_to_json(adapter.config).dump(2, true));
}

void check_fits(const PeftAdapter& adapter, const LinearModules& base) {
  const auto refuse = [&](const std::string& module, const std::string& problem) {
    const auto& name = adapter.config.base_model_name_or_path;
    throw BadInput(adapter.path, module,
                   problem + (name ? ": the adapter was made for " + *name : std::string()));
  };
  std::set<std::string> adapted;
  for (const LoraModule& m : adapter.modules) {
    adapted.insert(m.module);
    const auto found = base.find(m.module);
    if (found == base.end()) refuse(m.module, "the base model has no such linear module");
    const auto [out, in] = found->second;
    if (m.A.dim(1) != in || m.B.dim(0) != out) {
      refuse(m.module, "is " + std::to_string(m.A.dim(1)) + " in, " + std::to_string(m.B.dim(0)) +
                           " out; in the base model " + std::to_string(in) + " in, " +
                           std::to_string(out) + " out");
    }
  }
  for (const auto& entry : base) {
    if (adapter.config.target_modules && adapted.count(entry.first) == 0 &&
        is_target_module(adapter.config, entry.first)) {
      refuse(entry.first, "is a target module of which the adapter has no weights");
    }
  }
}

}  // namespace qlora
