// PEFT's adapter folders: adapter_config.json and adapter_model.safetensors, read and written.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "checkpoint/safetensors.h"
#include "core/json.h"
#include "lora/config.h"

namespace qlora {

/// The tensors of one adapted linear module, in the dtype that the file has.
struct LoraModule {
  std::string module;     ///< "model.layers.0.self_attn.q_proj"
  Tensor A;               ///< (R,K)
  Tensor B;               ///< (N,R)
  Tensor magnitude = {};  ///< (N) of DoRA; else empty
};

/// The tensors of an adapter.
enum class AdapterTensor { A, B, magnitude };
/// What adapter_model.safetensors calls one: of the module "model.layers.0.self_attn.q_proj", for
/// example "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight".
std::string adapter_tensor_name(const std::string& module, AdapterTensor tensor);

/// What an adapter folder holds.
struct PeftAdapter {
  std::string path;                 ///< the folder it was read from, for messages
  LoraConfig config;                ///< adapter_config.json
  std::vector<LoraModule> modules;  ///< sorted by name
};

/// Reads an adapter folder: what PEFT 0.21 and older write for a LoRA of linear layers. Settings of
/// a name that is not known are left out, which one line on the standard error says, once a folder.
/// @throws BadInput naming the file and the field or tensor: peft_type other than LORA; a feature
///         that is not supported, by its name; A or B missing; a rank other than r or its
///         rank_pattern; a magnitude missing, or there without use_dora; tensors that do not belong
///         to a LoRA, or to no target module
PeftAdapter read_adapter(const std::string& folder);

/// The same from what was already read. @throws BadInput as read_adapter
PeftAdapter parse_adapter(const Json& config, const std::string& config_file,
                          const SafetensorsFile& tensors);

/// Writes adapter_config.json (all fields of PEFT 0.21, keys sorted) and adapter_model.safetensors
/// into a folder, which is made if need be. Each file appears all at once, the configuration last.
/// @throws BadInput if they cannot be written
void write_adapter(const std::string& folder, const PeftAdapter& adapter);

/// adapter_config.json as a LoraConfig. @throws BadInput as read_adapter
LoraConfig lora_config_from_json(const Json& json, const std::string& file);
/// The settings of an adapter_config.json that are of no name known here, but for those that are
/// off (null, false, empty): PEFT leaves them out with a warning (PeftConfigMixin.from_peft_type).
std::vector<std::string> unknown_settings(const Json& json);
/// adapter_config.json with every field of PEFT 0.21.
Json lora_config_to_json(const LoraConfig& config);

/// Linear modules of a base model: their names, with N (out) and K (in).
using LinearModules = std::map<std::string, std::pair<std::int64_t, std::int64_t>>;

/// Checks that an adapter was made for this base: each of its modules is there with its sizes, and
/// no module that its configuration names is without weights.
/// @throws BadInput
void check_fits(const PeftAdapter& adapter, const LinearModules& base);

}  // namespace qlora
