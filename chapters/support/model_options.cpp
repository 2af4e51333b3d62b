#include "support/model_options.h"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>

#include "checkpoint/peft_adapter.h"
#include "llama/adapters.h"

namespace qlora {
namespace {

void check_device(const ModelOptions& o) {
  if (o.device == "cuda") {
    throw MachineLacks(
        "--device cuda needs the CUDA back end, which this build does not have; "
        "--device cpu works");
  }
  const bool low = o.bf16 || o.fp16 || o.compute_dtype != "float32";
  if (low)
    fmt::print(stderr, "on the CPU arithmetic is float32; 16-bit weights are widened exactly\n");
}

LoadOptions load_options(const ModelOptions& o) {
  LoadOptions options;
  options.double_quant = o.double_quant;
  if (o.quantize == "nf4") options.quantize = QuantType::nf4;
  if (o.quantize == "fp4") options.quantize = QuantType::fp4;
  if (o.quantize == "none") options.dequantize = true;
  if (o.quantize == "int8") options.int8 = true;
  return options;
}

}  // namespace

void add_model_options(Options& verb, ModelOptions& o) {
  verb.add("--model", o.model, "a Hugging Face model folder").value_name("DIR");
  verb.add("--random-model", o.random_model, "random weights of a published shape instead")
      .choices({"llama-3.2-1b", "llama-3.2-3b", "llama-3.1-8b"});
  verb.add("--quantize", o.quantize, "the base's linear layers; default: as the folder has them")
      .choices({"nf4", "fp4", "int8", "none"});
  verb.add("--double-quant", o.double_quant, "quantize the block maxima too");
  verb.add("--bnb-4bit-compute-dtype", o.compute_dtype, "arithmetic of quantized layers")
      .choices({"float32", "float16", "bfloat16"});
  verb.add("--device", o.device, "where to compute").choices({"auto", "cpu", "cuda"});
  verb.add("--bf16", o.bf16, "bfloat16 arithmetic, where the device has it");
  verb.add("--fp16", o.fp16, "float16 arithmetic, where the device has it");
}

void add_adapter_option(Options& verb, ModelOptions& o) {
  verb.add("--adapter", o.adapters, "a PEFT adapter folder, to put on the model").value_name("DIR");
}

LlamaModel load(const ModelOptions& o) {
  if (o.model.empty() == o.random_model.empty()) {
    throw UsageError("one of --model DIR and --random-model NAME is needed");
  }
  check_device(o);
  const LoadOptions options = load_options(o);
  LlamaModel model;
  if (o.model.empty()) {
    model = random_model(named_config(o.random_model), 0);
    if (options.int8) quantize_base_int8(model);
    if (options.quantize) {
      quantize_base(model, *options.quantize, options.double_quant, model.config.dtype);
    }
  } else {
    model = load_model(o.model, options);
  }
  for (const std::string& folder : o.adapters) attach_lora(model, read_adapter(folder));
  return model;
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

std::string base_format(const LlamaModel& model) {
  const Projection& first = model.layers.at(0).qkv.parts.at(0);
  if (first.int8) return "int8";
  if (!first.quantized) return std::string(python_name(model.arithmetic()));
  return std::string(to_string(first.quantized->type)) +
         (first.quantized->nested() ? " with double quantization" : "");
}

std::string data_folder() {
  const char* root = std::getenv("QLORA_ROOT");
  return root == nullptr ? QLORA_DATA_DIR : std::string(root) + "/data";
}

}  // namespace qlora
