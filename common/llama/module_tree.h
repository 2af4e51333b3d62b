// The module tree of a model, as transformers and PEFT print it, from config.json alone.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "checkpoint/bitsandbytes.h"
#include "core/json.h"
#include "lora/config.h"

namespace qlora {

/// An adapter under the name that PEFT has for it; that of the first is "default".
struct NamedLora {
  std::string name;   ///< the key in lora_A and lora_B
  LoraConfig config;  ///< which modules carry it, with what rank and dropout
};

/// What print(model) prints of the causal language model of this config.json, with adapters that of
/// the PeftModelForCausalLM around it (transformers 5, PEFT 0.21; torch: Module.__repr__). Equal
/// layers stand as one, behind their number. Every line ends in "\n".
///
/// @param quantization  what bitsandbytes makes of the layers' linear maps: Linear4bit or
///                      Linear8bitLt, but for skip_modules; lm_head is never quantized
/// @throws BadInput as model_shapes() does, and on an activation that is not known;
///         UsageError if an adapter matches no module
std::string module_tree(const Json& config, const std::optional<BitsAndBytesConfig>& quantization,
                        std::span<const NamedLora> adapters = {});

}  // namespace qlora
