// LoRA adapters on a model: attached fresh, or from tensors under PEFT's names.
#pragma once

#include "checkpoint/peft_adapter.h"
#include "llama/model.h"
#include "lora/config.h"

namespace qlora {

/// The decoder's linear modules, which target_modules may name.
std::vector<std::string> linear_modules(const LlamaModel& model);

/// Puts a fresh adapter, A uniform and B zero, and with use_dora the rows' lengths as magnitudes,
/// on every module that the configuration targets, and returns their parameters in the order of the
/// layers. @throws UsageError if no module is targeted
std::vector<Parameter> attach_lora(LlamaModel& model, const LoraConfig& config, std::uint64_t seed);

/// Puts a saved adapter on the model, beside those that are there.
/// @throws BadInput if the adapter is of another base (a module or a size that the model has not)
std::vector<Parameter> attach_lora(LlamaModel& model, const PeftAdapter& adapter);

/// The first adapter of every module as what PEFT saves: "all-linear" has become the list of names.
PeftAdapter saved_form(const LlamaModel& model, const LoraConfig& config);

/// The parameters of all adapters; the names are those of adapter_model.safetensors
/// ("base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight").
std::vector<Parameter> adapter_parameters(const LlamaModel& model);

/// The adapters of a model, projection by projection in the order of for_each_projection.
using AdapterSet = std::vector<std::vector<Adapter>>;

/// Takes all adapters off a model, and puts such a set in the place of those that it has: that is
/// all that switching needs, the base and the tensors stay where they are.
/// @throws std::invalid_argument if the set is of another model
AdapterSet take_adapters(LlamaModel& model);
void put_adapters(LlamaModel& model, AdapterSet adapters);

/// What merge_adapters() took off the model, with the norms of DoRA that the merged weights no
/// longer show.
struct MergedAdapters {
  AdapterSet adapters;                                 ///< as they were
  std::vector<std::vector<std::vector<float>>> norms;  ///< (N) of each adapter; empty: LoRA
};

/// Adds every adapter to its dense base weight, W += s · B · A, or m / norm ⊙ (W + s · B · A) with
/// DoRA's norm of the base as it was, and takes it off (PEFT: merge_and_unload).
/// @throws std::invalid_argument on a quantized base: dequantize it first
MergedAdapters merge_adapters(LlamaModel& model);

/// Takes what was merged out of the weights again, the last adapter first, and puts the adapters
/// back (PEFT: unmerge_adapter). Float32 rounds: the base comes back but for the last bits, and not
/// at all if it was quantized in between.
void unmerge_adapters(LlamaModel& model, const MergedAdapters& merged);

/// Replaces the codes of every quantized group by their dense float32 values.
void dequantize_base(LlamaModel& model);

/// Quantizes every dense group of the base in 4 bits; `dtype` is the dtype that the values are
/// rounded back to.
void quantize_base(LlamaModel& model, QuantType type, bool double_quant, DType dtype);

/// Quantizes every dense group of the base in rows of int8, for LLM.int8().
void quantize_base_int8(LlamaModel& model);

}  // namespace qlora
