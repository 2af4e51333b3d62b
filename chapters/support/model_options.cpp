#include "support/model_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "course/progress.h"
#include "course/text.h"
#include "llama/adapters.h"
#include "ops/device_memory.h"
#include "text/guanaco.h"

namespace qlora {
namespace {

namespace fs = std::filesystem;

bool is_quantized(const Json& config) {
  return config.find("quantization_config") != nullptr;
}

// What the options make of layers that are dense.
std::optional<BitsAndBytesConfig> as_asked(const ModelOptions& o) {
  const bool in_4bit = o.quantize == "nf4" || o.quantize == "fp4";
  if (o.double_quant && !in_4bit) {
    throw UsageError("--double-quant says nothing without --quantize nf4 or fp4");
  }
  if (o.quantize.empty() || o.quantize == "none") return std::nullopt;
  BitsAndBytesConfig wanted;
  wanted.load_in_8bit = !in_4bit;
  wanted.quant_type = o.quantize == "fp4" ? QuantType::fp4 : QuantType::nf4;
  wanted.use_double_quant = o.double_quant;
  return wanted;
}

// Whether the options say nothing else than what the folder has.
bool is_as_asked(const BitsAndBytesConfig& stored, const ModelOptions& o) {
  const std::string_view format = stored.load_in_8bit ? "int8" : to_string(stored.quant_type);
  return (o.quantize.empty() || o.quantize == format) &&
         (!o.double_quant || (!stored.load_in_8bit && stored.use_double_quant));
}

LoadOptions load_options(const Json& config, const ModelOptions& o) {
  LoadOptions options;
  options.dequantize = o.quantize == "none";
  const std::optional<BitsAndBytesConfig> wanted = wanted_quantization(config, o);
  if (wanted && !is_quantized(config)) {
    options.int8 = wanted->load_in_8bit;
    if (!options.int8) options.quantize = wanted->quant_type;
    options.double_quant = wanted->use_double_quant;
  }
  options.placement = placement_of(o);
  return options;
}

// The last part of a path, or of a name on the Hugging Face hub.
std::string last_part(const std::string& name) {
  const fs::path path = fs::absolute(name).lexically_normal();
  return path.has_filename() ? path.filename() : path.parent_path().filename();
}

void check_one_model(const ModelOptions& o) {
  if (o.model.empty() == o.random_model.empty()) {
    throw UsageError("one of --model DIR and --random-model NAME is needed");
  }
}

// torch's own names of the dtypes are taken, too.
void as_torch_spells(Option& dtype) {
  for (const char* name : {"float32", "float16", "bfloat16"}) {
    dtype.spelled(std::string("torch.") + name, name);
  }
}

}  // namespace

void add_model_options(Options& verb, ModelOptions& o) {
  verb.add("--model", o.model, "a Hugging Face model folder").value_name("DIR");
  verb.add("--random-model", o.random_model, "random weights of a published shape instead")
      .choices(named_models());
  verb.add("--quantize", o.quantize, "the base's linear layers; default: as the folder has them")
      .choices({"nf4", "fp4", "int8", "none"});
  verb.add("--double-quant", o.double_quant, "quantize the block maxima too")
      .alias("--bnb-4bit-use-double-quant");
  as_torch_spells(
      verb.add("--bnb-4bit-compute-dtype", o.compute_dtype, "arithmetic of quantized layers")
          .choices({"float32", "float16", "bfloat16"}));
  verb.add("--device", o.device, "where to compute").choices({"auto", "cpu", "cuda"});
  as_torch_spells(verb.add("--dtype", o.dtype, "arithmetic; default: bfloat16 on a GPU that has it")
                      .alias("--torch-dtype")
                      .choices({"auto", "float32", "float16", "bfloat16"}));
  verb.add("--compute-capability", o.compute_capability,
           "use of the GPU only what a card of this number has")
      .choices({"7.5", "8.0", "8.6", "8.7", "8.9", "9.0", "10.0", "10.3", "11.0", "12.0", "12.1"})
      .value_name("X.Y");
  verb.add("--bf16", o.bf16, "bfloat16 arithmetic, where the device has it");
  verb.add("--fp16", o.fp16, "float16 arithmetic, where the device has it");
}

void add_bitsandbytes_options(Options& verb, ModelOptions& o) {
  verb.add("--load-in-4bit", o.load_in_4bit, "--quantize as --bnb-4bit-quant-type says");
  verb.add("--load-in-8bit", o.load_in_8bit, "--quantize int8");
  verb.add("--bnb-4bit-quant-type", o.bnb_4bit_quant_type, "of --load-in-4bit; default: fp4")
      .choices({"nf4", "fp4"});
}

void settle(ModelOptions& o) {
  if (o.load_in_4bit && o.load_in_8bit) {
    throw UsageError("--load-in-4bit and --load-in-8bit exclude each other");
  }
  if (!o.bnb_4bit_quant_type.empty() && !o.load_in_4bit) {
    throw UsageError("--bnb-4bit-quant-type says nothing without --load-in-4bit");
  }
  if (!o.quantize.empty()) return;
  if (o.load_in_8bit) o.quantize = "int8";
  if (o.load_in_4bit) o.quantize = o.bnb_4bit_quant_type.empty() ? "fp4" : o.bnb_4bit_quant_type;
}

void add_adapter_option(Options& verb, ModelOptions& o) {
  verb.add("--adapter", o.adapters, "a PEFT adapter folder, to put on the model").value_name("DIR");
}

std::optional<DType> wanted_arithmetic(const ModelOptions& o) {
  if (o.bf16 && o.fp16) throw UsageError("--bf16 and --fp16 exclude each other");
  if (o.bf16) return DType::bf16;
  if (o.fp16) return DType::f16;
  const std::string& name = o.dtype.empty() || o.dtype == "auto" ? o.compute_dtype : o.dtype;
  if (name.empty()) return std::nullopt;
  return name == "float32" ? DType::f32 : name == "float16" ? DType::f16 : DType::bf16;
}

Device wanted_device(const ModelOptions& o) {
  if (o.device == "auto") return ops::has_gpu() ? Device::cuda : Device::cpu;
  return o.device == "cuda" ? Device::cuda : Device::cpu;
}

DType gpu_arithmetic(const ModelOptions& o) {
  const bool here = ops::has_gpu();
  const bool has_bf16 = o.compute_capability != "7.5" && (!here || ops::gpu_has_bf16());
  const std::optional<DType> wanted = wanted_arithmetic(o);
  if (wanted == DType::bf16 && !has_bf16) {
    throw MachineLacks(
        (here ? ops::gpu_name() : "a GPU of compute capability " + o.compute_capability) +
        " has no bfloat16 arithmetic; --fp16 or --dtype float32 works");
  }
  return wanted.value_or(has_bf16 ? DType::bf16 : DType::f16);
}

Placement placement_of(const ModelOptions& o) {
  if (!o.compute_capability.empty()) ops::limit_gpu(o.compute_capability);
  const std::optional<DType> arithmetic = wanted_arithmetic(o);
  if (wanted_device(o) == Device::cpu) {
    if (arithmetic && *arithmetic != DType::f32) {
      fmt::print(stderr, "on the CPU arithmetic is float32; 16-bit weights are widened exactly\n");
    }
    return {};
  }
  ops::gpu_name();  // where there is no GPU, this says so
  return {Device::cuda, gpu_arithmetic(o)};
}

Json model_config(const ModelOptions& o) {
  check_one_model(o);
  return o.model.empty() ? to_json(named_config(o.random_model))
                         : Json::read(o.model + "/config.json");
}

void default_to_nf4(ModelOptions& o) {
  if (!o.quantize.empty() || is_quantized(model_config(o))) return;
  o.quantize = "nf4";
  o.double_quant = true;
}

std::string four_bit_name(std::string_view format, bool double_quant) {
  return std::string(format) + (double_quant ? " with double quantization" : "");
}

std::string format_name(const BitsAndBytesConfig& quantization) {
  if (quantization.load_in_8bit) return "int8";
  return four_bit_name(to_string(quantization.quant_type), quantization.use_double_quant);
}

std::optional<BitsAndBytesConfig> wanted_quantization(const Json& config, const ModelOptions& o) {
  if (!is_quantized(config)) return as_asked(o);
  if (o.quantize == "none" && !o.double_quant) return std::nullopt;
  auto stored =
      BitsAndBytesConfig::from_json(config.at("quantization_config"), o.model + "/config.json");
  if (is_as_asked(stored, o)) return stored;
  const std::string format = o.quantize.empty() ? "" : "--quantize " + o.quantize;
  const std::string nested = o.double_quant ? "--double-quant" : "";
  throw UsageError(fmt::format(
      "{}{}{}: {} is in {} already; leave it out, or restore the folder first (ch03_nf4 "
      "dequantize)",
      format, format.empty() || nested.empty() ? "" : " ", nested, o.model, format_name(stored)));
}

LlamaModel load(const ModelOptions& o) {
  const Json config = model_config(o);
  llama_config(config);  // another architecture is refused by its name, before weights are missed
  LoadOptions options = load_options(config, o);
  std::optional<Progress> progress;  // of what takes long: the embedded model's layers do not
  options.on_layer = [&](std::size_t done, std::size_t all) {
    const auto layers = static_cast<std::int64_t>(all);
    if (!progress && layers >= 12) progress.emplace("load", layers, "layers", 1);
    if (progress) progress->update(static_cast<std::int64_t>(done));
  };
  LlamaModel model = o.model.empty()
                         ? load_model(named_config(o.random_model),
                                      RandomWeights(options.placement.device, 0), options)
                         : load_model(o.model, options);
  if (progress) progress->finish("");
  for (const std::string& folder : o.adapters) {
    const PeftAdapter adapter = read_adapter(folder);
    attach_lora(model, adapter);
    note_other_base(adapter, o.model);
  }
  return model;
}

void note_other_base(const PeftAdapter& adapter, const std::string& model_folder) {
  const auto& base = adapter.config.base_model_name_or_path;
  if (!base || base->empty() || model_folder.empty()) return;
  std::vector<std::string> names{last_part(model_folder)};
  const Json config = Json::read(model_folder + "/config.json");
  if (const Json* name = config.find("_name_or_path")) {
    if (!name->as_string().empty()) names.push_back(last_part(name->as_string()));
  }
  if (std::ranges::find(names, last_part(*base)) != names.end()) return;
  fmt::print(stderr, "{}: was made for {}; {} fits in its sizes, but may have other weights\n",
             adapter.path, *base, model_folder);
}

Tokenizer tokenizer_of(const std::string& model_folder) {
  if (model_folder.empty()) throw UsageError("--model DIR is needed: no other has a tokenizer");
  const LlamaConfig c = llama_config(Json::read(model_folder + "/config.json"));
  Tokenizer tokenizer = Tokenizer::load(model_folder);
  if (tokenizer.vocab_size() > c.vocab_size) {
    throw BadInput(model_folder, "tokenizer",
                   fmt::format("has {} tokens, the model {} embeddings", tokenizer.vocab_size(),
                               c.vocab_size));
  }
  return tokenizer;
}

Batch read_ids_for(LlamaModel& model, const std::string& file) {
  const LlamaConfig& c = model.config;
  Batch batch = read_ids(file, static_cast<std::int32_t>(c.vocab_size));
  const std::int64_t positions = positions_in(batch);
  if (positions > c.max_position_embeddings) {
    throw BadInput(file, batch.position_ids ? "position_ids" : "input_ids",
                   fmt::format("{} positions in a row, the model has {}", positions,
                               c.max_position_embeddings));
  }
  model.reserve_positions(positions);
  return batch;
}

ChatTemplate template_for(std::vector<Example>& rows, const std::string& file,
                          const std::string& model_folder, const std::string& date_string) {
  const auto is = [](Example::Kind kind) {
    return [kind](const Example& row) { return row.kind == kind; };
  };
  ChatTemplate chat;
  if (std::ranges::any_of(rows, is(Example::Kind::messages))) {
    chat = chat_template_of(model_folder);
  } else if (std::ranges::any_of(rows, is(Example::Kind::text))) {
    chat = known_chat_template_of(model_folder);
  }
  if (!date_string.empty()) chat.date_string = date_string;
  if (chat.kind != ChatTemplate::Kind::llama2) return chat;
  if (const std::int64_t changed = guanaco_to_messages(rows, file); changed > 0) {
    fmt::print("{}: {} texts of \"### Human: …\" are conversations in the model's template\n", file,
               grouped(changed));
  }
  return chat;
}

std::string base_format(const LlamaModel& model) {
  const Projection& first = model.layers.at(0).qkv.parts.at(0);
  if (first.int8) return "int8";
  if (!first.quantized) return std::string(python_name(model.arithmetic()));
  return four_bit_name(to_string(first.quantized->type), first.quantized->nested());
}

std::string data_folder() {
  const char* root = std::getenv("QLORA_ROOT");
  return root == nullptr ? QLORA_DATA_DIR : std::string(root) + "/data";
}

}  // namespace qlora
