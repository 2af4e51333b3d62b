// The options of every verb that loads a model.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/bitsandbytes.h"
#include "checkpoint/peft_adapter.h"
#include "course/options.h"
#include "llama/load.h"
#include "text/batch.h"
#include "text/chat.h"
#include "text/dataset.h"
#include "text/tokenizer.h"

namespace qlora {

/// Which model, in which storage, with which adapters.
struct ModelOptions {
  std::string model;                  ///< a Hugging Face folder
  std::string random_model;           ///< or the name of a shape, with random weights
  std::vector<std::string> adapters;  ///< PEFT folders
  std::string quantize;               ///< nf4, fp4, none; empty: as the folder is
  bool double_quant = false;          ///< quantize the block maxima too
  std::string dtype;                  ///< the arithmetic; empty or auto: chosen by the device
  std::string compute_dtype;          ///< the same under the name that bitsandbytes has for it
  std::string device = "auto";        ///< or "cpu", "cuda"
  /// What --quantize and --double-quant say, as BitsAndBytesConfig has it: settle() puts it there.
  bool load_in_4bit = false, load_in_8bit = false;
  std::string bnb_4bit_quant_type;  ///< nf4 or fp4; empty: fp4, as there
  std::string compute_capability;   ///< use of the GPU only what one like "7.5" has

  /// 16-bit arithmetic, where the device has it.
  bool bf16 = false, fp16 = false;
};

/// Declares --model, --random-model, --quantize, --double-quant, --bnb-4bit-compute-dtype,
/// --device, --dtype, --bf16, --fp16 and --compute-capability.
void add_model_options(Options& verb, ModelOptions& o);

/// Declares --load-in-4bit, --load-in-8bit and --bnb-4bit-quant-type, for verbs with --config; the
/// other two of BitsAndBytesConfig are --bnb-4bit-compute-dtype and a name of --double-quant.
void add_bitsandbytes_options(Options& verb, ModelOptions& o);

/// Puts what these say into `quantize`, unless --quantize was given, which wins.
/// @throws UsageError where they contradict each other
void settle(ModelOptions& o);

/// Declares --adapter, which may be given several times.
void add_adapter_option(Options& verb, ModelOptions& o);

/// Loads the model, and puts the adapters on it. Says in one line where arithmetic that was asked
/// for is not what this processor computes in, and where an adapter was made for another base.
/// @throws UsageError as wanted_quantization, BadInput, MachineLacks
LlamaModel load(const ModelOptions& o);

/// config.json of the folder, or of the shape that --random-model names; no weights are looked at.
/// @throws UsageError unless one of the two is given; BadInput
Json model_config(const ModelOptions& o);

/// A base that is not quantized yet becomes NF4 with double quantization unless told otherwise:
/// what `train` does, and so what `plan` plans.
void default_to_nf4(ModelOptions& o);

/// How the decoder's linear maps will be held: as the folder has them, or as --quantize says;
/// nothing: dense.
/// @param config  model_config(o)
/// @throws UsageError where the options ask for another format than a quantized folder has, or for
///         double quantization of nothing; BadInput on quantization_config
std::optional<BitsAndBytesConfig> wanted_quantization(const Json& config, const ModelOptions& o);

/// "nf4", or "nf4 with double quantization".
std::string four_bit_name(std::string_view format, bool double_quant);

/// "int8", "nf4", "fp4 with double quantization".
std::string format_name(const BitsAndBytesConfig& quantization);

/// Says in one line on stderr that an adapter was made for another base than this folder: where the
/// last part of its base_model_name_or_path is neither the folder's name nor the last part of
/// _name_or_path in config.json.
void note_other_base(const PeftAdapter& adapter, const std::string& model_folder);

/// The arithmetic that --bf16, --fp16, --dtype or --bnb-4bit-compute-dtype asks for, if one does.
/// @throws UsageError on --bf16 beside --fp16
std::optional<DType> wanted_arithmetic(const ModelOptions& o);

/// The arithmetic of a GPU: the one that is asked for, or else bfloat16, which is float16 where the
/// card that is here, or one of --compute-capability, has no bfloat16.
/// @throws MachineLacks where bfloat16 is asked for and it has none
DType gpu_arithmetic(const ModelOptions& o);

/// The device that --device means: auto is the GPU where there is one.
Device wanted_device(const ModelOptions& o);

/// Where that model computes, and in what: gpu_arithmetic, or float32 on the CPU.
/// @throws MachineLacks
Placement placement_of(const ModelOptions& o);

/// The tokenizer of a model's folder.
/// @throws UsageError for an empty name: --random-model has no tokenizer
/// @throws BadInput, also if it has more tokens than the model has embeddings
Tokenizer tokenizer_of(const std::string& model_folder);

/// The batch of a file of --ids for this model, which then has tables for its positions.
/// @throws BadInput, also if the batch has more positions than the model
Batch read_ids_for(LlamaModel& model, const std::string& file);

/// The template of a model's folder where a row is a conversation, else none. Where it is Llama
/// 2's, rows of `file` that are Guanaco's texts (text/guanaco.h) become conversations, which is
/// said.
/// @param date_string  the day that the template names; empty: its own
ChatTemplate template_for(std::vector<Example>& rows, const std::string& file,
                          const std::string& model_folder, const std::string& date_string);

/// "nf4 with double quantization", "float32", …: what the base's linear layers are held in.
std::string base_format(const LlamaModel& model);

/// Where the embedded data lie.
std::string data_folder();

}  // namespace qlora
