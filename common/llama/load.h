// Hugging Face folders to models, and back.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/model_folder.h"
#include "llama/placement.h"
#include "llama/weight_source.h"

namespace qlora {

/// What becomes of the base's linear layers while they are loaded.
struct LoadOptions {
  /// Quantize dense layers in 4 bits, tensor by tensor; nothing: leave them as the folder has them.
  std::optional<QuantType> quantize;
  bool double_quant = false;
  /// Quantize dense layers in rows of int8, for LLM.int8().
  bool int8 = false;
  /// Restore layers that the folder has quantized to dense ones (--quantize none).
  bool dequantize = false;
  /// Where the model is to compute. Each tensor goes there, and is quantized there, by itself: a
  /// checkpoint's 16 bits a weight are never in memory at once.
  Placement placement = {};
  /// Called after each layer with the number of layers that are there, and of all; may be empty.
  std::function<void(std::size_t, std::size_t)> on_layer = {};
};

/// The model of a configuration, its weights out of a source.
/// @throws BadInput on a tensor that is not there, or not of its shape
LlamaModel load_model(const LlamaConfig& config, const WeightSource& source,
                      const LoadOptions& options);

/// Loads a folder. On the CPU 16-bit weights are widened exactly; layers that bitsandbytes
/// quantized stay as they are. Every tensor's shape is held against config.json.
/// @throws BadInput naming the file and the tensor or the member of config.json; also where layers
///         have a tensor that would not be read, for the file is of another model then, and where
///         options ask for another format than the folder is quantized in
LlamaModel load_model(const ModelFolder& folder, const LoadOptions& options = {});
LlamaModel load_model(const std::string& path, const LoadOptions& options = {});

/// Writes config.json and model.safetensors into an existing folder: dense weights in `dtype`,
/// quantized layers as bitsandbytes has them. Adapters are not written.
void save_model(const std::string& folder, const LlamaModel& model, DType dtype);

/// The names of the published shapes that named_config() knows.
std::vector<std::string> named_models();

/// A configuration by the name of a published model: llama-3.2-1b, llama-3.2-3b, llama-3.1-8b,
/// llama-3.1-70b.
/// @throws UsageError on any other
LlamaConfig named_config(const std::string& name);

}  // namespace qlora
