// 4-bit tensors in files: the names, bytes and configuration that bitsandbytes and transformers
// use.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "checkpoint/model_folder.h"
#include "checkpoint/tensor_files.h"
#include "quantization/quantized_tensor.h"

namespace qlora {

/// Whether a tensor is stored in 4 bits: "<name>.quant_state.bitsandbytes__nf4" (or __fp4) stands
/// beside it.
bool is_stored_in_4bit(const TensorFiles& files, const std::string& name);

/// Reads a 4-bit tensor: `name` (codes), name.absmax, .quant_map, .nested_absmax, .nested_quant_map
/// and .quant_state.bitsandbytes__<type> (bitsandbytes: QuantState.from_dict). The tensors stay
/// where they are, in the mapped file.
/// @param shape  what the model expects; used where the file's own shape is null, else compared
/// @throws BadInput naming the file and the tensor: a part that is missing, unknown, of another
///         dtype or size, or a quant_state that is not what bitsandbytes writes
QuantizedTensor read_4bit(const TensorFiles& files, const std::string& name,
                          const std::optional<Shape>& shape = std::nullopt);

/// The tensors that bitsandbytes' state dict holds for q under `name`
/// (QuantState.as_dict(packed=True)), in its order.
NamedTensors parts_of_4bit(const std::string& name, const QuantizedTensor& q);

/// The text of quant_state: {"quant_type": "nf4", "blocksize": 64, "dtype": "bfloat16", …}, keys
/// and separators as Python's json.dumps writes them. Reads no tensor data.
std::string quant_state_text(const QuantizedTensor& q);

/// quantization_config of config.json, with the defaults of transformers' BitsAndBytesConfig.
struct BitsAndBytesConfig {
  bool load_in_8bit = false;              ///< LLM.int8(); else 4 bits
  QuantType quant_type = QuantType::fp4;  ///< bnb_4bit_quant_type
  bool use_double_quant = false;          ///< bnb_4bit_use_double_quant
  DType compute_dtype = DType::f32;       ///< bnb_4bit_compute_dtype
  /// llm_int8_skip_modules: ends of modules' names, or regular expressions for their beginnings.
  std::optional<std::vector<std::string>> skip_modules;

  /// The object that transformers writes, all thirteen keys.
  Json to_json() const;
  /// @param file  named in error messages
  /// @throws BadInput on another quant_method and on values that are not known
  static BitsAndBytesConfig from_json(const Json& json, const std::string& file);
};

/// The folder's quantization_config, if it has one, held against its weights.
/// @throws BadInput as BitsAndBytesConfig::from_json, and where configuration and weights disagree
///         on whether, and how, weights are stored in 4 or 8 bits
std::optional<BitsAndBytesConfig> quantization_of(const ModelFolder& folder);

/// Whether transformers quantizes a weight: a matrix of a decoder layer ("model.layers.….weight")
/// whose module is not skipped. Embedding, norms and lm_head stay as they are.
bool is_quantizable(const TensorInfo& tensor, const BitsAndBytesConfig& config);

}  // namespace qlora
