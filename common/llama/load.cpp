#include "llama/load.h"

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "checkpoint/bitsandbytes.h"
#include "checkpoint/eight_bit.h"
#include "core/error.h"

namespace qlora {
namespace {

// Reads tensors by name and holds their shapes against what config.json asks for.
class Reader {
 public:
  explicit Reader(const TensorFiles& files) : files_(files) {}

  /// A dense tensor widened to float32, in memory of its own.
  Tensor dense(const std::string& name, const Shape& shape) const {
    check(name, shape);
    const Tensor t = files_.tensor(name);
    const Tensor widened = t.dtype() == DType::f32 ? t.clone() : t.to(DType::f32);
    files_.release(name);
    return widened;
  }

  DType dtype(const std::string& name) const { return files_.info(name).dtype; }
  bool has_codes(const std::string& name) const {
    return is_stored_in_4bit(files_, name) || is_stored_in_int8(files_, name);
  }
  void take_codes(const std::string& name, const Shape& shape, Projection& p) const {
    if (is_stored_in_4bit(files_, name)) {
      p.quantized = read_4bit(files_, name, shape);
    } else {
      p.int8 = read_int8(files_, name, shape);
    }
  }

 private:
  void check(const std::string& name, const Shape& shape) const {
    const TensorInfo& info = files_.info(name);
    if (info.shape != shape) {
      throw BadInput(
          files_.file_of(name).path(), name,
          "has shape " + to_string(info.shape) + ", config.json asks for " + to_string(shape));
    }
    if (!is_floating(info.dtype)) {
      throw BadInput(
          files_.file_of(name).path(), name,
          "is " + std::string(safetensors_name(info.dtype)) + ", expected a floating-point weight");
    }
  }

  const TensorFiles& files_;
};

// One group: all parts quantized, or all dense and stacked. A group that the file has half
// quantized (modules that were skipped) becomes dense as a whole.
void load_group(const Reader& reader, const LoadOptions& options, LinearGroup& group) {
  const auto name_of = [](const Projection& p) { return p.name + ".weight"; };
  const auto has_codes = [&](const Projection& p) { return reader.has_codes(name_of(p)); };
  const bool all = std::all_of(group.parts.begin(), group.parts.end(), has_codes);
  const bool none = std::none_of(group.parts.begin(), group.parts.end(), has_codes);
  if (all && !options.dequantize) {
    for (Projection& p : group.parts) reader.take_codes(name_of(p), {p.N, group.K}, p);
    return;
  }
  if (none && options.int8) {
    for (Projection& p : group.parts) {
      p.int8 = quantize_int8(reader.dense(name_of(p), {p.N, group.K}));
    }
    return;
  }
  if (none && options.quantize) {
    for (Projection& p : group.parts) {
      const DType dtype = reader.dtype(name_of(p));
      const Tensor weight = reader.dense(name_of(p), {p.N, group.K}).to(dtype);
      p.quantized = quantize_4bit(weight, *options.quantize, 64, options.double_quant);
    }
    return;
  }
  group.weight = Tensor::empty(DType::f32, {group.N(), group.K});
  std::int64_t row = 0;
  for (const Projection& p : group.parts) {
    const Tensor rows = group.weight.rows(row, row + p.N);
    if (has_codes(p)) {
      Projection codes;
      reader.take_codes(name_of(p), {p.N, group.K}, codes);
      dequantize_codes(codes, rows.data<float>());
    } else {
      const Tensor dense = reader.dense(name_of(p), {p.N, group.K});
      std::memcpy(rows.raw(), dense.raw(), dense.nbytes());
    }
    row += p.N;
  }
}

}  // namespace

LlamaModel load_model(const ModelFolder& folder, const LoadOptions& options) {
  quantization_of(folder);  // refuses a quantization_config that the weights do not bear out
  LlamaModel model = model_skeleton(llama_config(folder.config));
  const LlamaConfig& c = model.config;
  const Reader reader(folder.tensors);
  model.embed_tokens = reader.dense("model.embed_tokens.weight", {c.vocab_size, c.hidden_size});
  for (std::size_t l = 0; l < model.layers.size(); ++l) {
    DecoderLayer& layer = model.layers[l];
    const std::string prefix = "model.layers." + std::to_string(l) + ".";
    layer.input_layernorm = reader.dense(prefix + "input_layernorm.weight", {c.hidden_size});
    layer.post_attention_layernorm =
        reader.dense(prefix + "post_attention_layernorm.weight", {c.hidden_size});
    for (LinearGroup* group : {&layer.qkv, &layer.o, &layer.gate_up, &layer.down}) {
      load_group(reader, options, *group);
    }
  }
  model.norm = reader.dense("model.norm.weight", {c.hidden_size});
  model.lm_head = c.tie_word_embeddings
                      ? model.embed_tokens
                      : reader.dense("lm_head.weight", {c.vocab_size, c.hidden_size});
  return model;
}

LlamaModel load_model(const std::string& path, const LoadOptions& options) {
  return load_model(ModelFolder::open(path), options);
}

void save_model(const std::string& folder, const LlamaModel& model, DType dtype) {
  NamedTensors tensors;
  for (const auto& [name, weight] : dense_weights(model))
    tensors.emplace_back(name, weight.to(dtype));
  Json config = to_json(model.config);
  config["torch_dtype"] = std::string(python_name(dtype));
  BitsAndBytesConfig quantization;
  bool quantized = false;
  model.for_each_projection([&](const LinearGroup&, const Projection& p) {
    if (p.int8) {
      quantized = quantization.load_in_8bit = true;
      for (auto& part : parts_of_int8(p.name + ".weight", *p.int8)) tensors.push_back(part);
    }
    if (!p.quantized) return;
    quantized = true;
    quantization.quant_type = p.quantized->type;
    quantization.use_double_quant = p.quantized->nested();
    for (auto& part : parts_of_4bit(p.name + ".weight", *p.quantized)) tensors.push_back(part);
  });
  if (quantized) config["quantization_config"] = quantization.to_json();
  std::vector<TensorInfo> infos;
  for (const auto& [name, tensor] : tensors)
    infos.push_back({name, tensor.dtype(), tensor.shape()});
  ModelWriter writer(folder, infos);
  for (const auto& [name, tensor] : tensors) writer.write(name, tensor);
  writer.finish();
  write_config(folder, config);
}

LlamaConfig named_config(const std::string& name) {
  LlamaConfig c;  // litgpt/config.py and the published config.json files
  c.vocab_size = 128256;
  c.max_position_embeddings = 131072;
  c.rms_norm_eps = 1e-5;
  c.rope_theta = 500000.0;
  c.rope_scaling = {"llama3", 32.0, 1.0, 4.0, 8192};
  c.bos_token_id = 128000;
  c.eos_token_ids = {128001};
  c.dtype = DType::bf16;
  c.num_key_value_heads = 8;
  c.tie_word_embeddings = true;
  if (name == "llama-3.2-1b") {
    c.hidden_size = 2048;
    c.num_hidden_layers = 16;
    c.num_attention_heads = 32;
    c.head_dim = 64;
    c.intermediate_size = 8192;
  } else if (name == "llama-3.2-3b") {
    c.hidden_size = 3072;
    c.num_hidden_layers = 28;
    c.num_attention_heads = 24;
    c.head_dim = 128;
    c.intermediate_size = 8192;
  } else if (name == "llama-3.1-8b") {
    c.hidden_size = 4096;
    c.num_hidden_layers = 32;
    c.num_attention_heads = 32;
    c.head_dim = 128;
    c.intermediate_size = 14336;
    c.rope_scaling.factor = 8.0;
    c.tie_word_embeddings = false;
  } else {
    throw UsageError("no model of the name " + name +
                     "; there are llama-3.2-1b, llama-3.2-3b and llama-3.1-8b");
  }
  return c;
}

}  // namespace qlora
