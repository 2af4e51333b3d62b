// The linear maps of a decoder and the number of its parameters, from config.json alone.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/json.h"
#include "lora/counting.h"

namespace qlora {

/// A decoder of equal layers, by its shapes.
struct ModelShapes {
  std::string model_type;          ///< as config.json calls it
  std::vector<LinearShape> layer;  ///< the linear maps of one layer, "self_attn.q_proj", …
  std::int64_t layers = 0;         ///< of these
  std::int64_t parameters = 0;     ///< of the whole model; a tied embedding counts once
};

/// Reads config.json of the model types llama, mistral, gemma, gemma2, qwen2, qwen3 and phi. No
/// weights are needed: biases, norms and tying follow from the type and from the file
/// (transformers: models/*/modeling_*.py, configuration_*.py).
/// @throws BadInput on another type, and as llama_config() on sizes
ModelShapes model_shapes(const Json& config);

}  // namespace qlora
