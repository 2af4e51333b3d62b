#include "llama/load.h"

#include <algorithm>
#include <set>

#include "checkpoint/bitsandbytes.h"
#include "checkpoint/conversion.h"
#include "checkpoint/eight_bit.h"
#include "core/error.h"
#include "ops/device_memory.h"
#include "ops/quantization.h"

namespace qlora {
namespace {

// Loads group by group into the place that the options say.
class Loader {
 public:
  Loader(const WeightSource& source, const LoadOptions& options)
      : source_(source), options_(options), to_(options.placement) {}

  Tensor dense(const std::string& name, const Shape& shape) const {
    Tensor weight = placed(to_, source_.weight(name, shape));
    source_.done(name);
    return weight;
  }

  // All parts quantized, or all dense and stacked. A group that the file has half quantized
  // (modules that were skipped) becomes dense as a whole.
  void load(LinearGroup& group) const {
    const auto has_codes = [&](const Projection& p) { return source_.has_codes(name_of(p)); };
    const bool all = std::all_of(group.parts.begin(), group.parts.end(), has_codes);
    const bool none = std::none_of(group.parts.begin(), group.parts.end(), has_codes);
    if (all && !options_.dequantize) {
      for (Projection& p : group.parts) take_codes(p, group.K);
    } else if (none && (options_.int8 || options_.quantize)) {
      for (Projection& p : group.parts) quantize(p, group.K);
    } else {
      stack(group);
    }
  }

 private:
  static std::string name_of(const Projection& p) { return p.name + ".weight"; }

  void take_codes(Projection& p, std::int64_t K) const {
    source_.take_codes(name_of(p), {p.N, K}, p);
    if (p.quantized) p.quantized = ops::on(to_.device, *p.quantized);
    if (p.int8) p.int8 = ops::on(to_.device, *p.int8);
  }

  // On the device, from the dtype that the file has it in.
  void quantize(Projection& p, std::int64_t K) const {
    const Tensor weight = ops::on(to_.device, source_.weight(name_of(p), {p.N, K}));
    if (options_.int8) {
      p.int8 = ops::quantize_int8(weight);
    } else {
      // NOLINTNEXTLINE(bugprone-unchecked-optional-access): the caller looked
      p.quantized = ops::quantize_4bit(weight, *options_.quantize, 64, options_.double_quant);
    }
    source_.done(name_of(p));
  }

  void stack(LinearGroup& group) const {
    group.weight = ops::empty_on(to_.device, to_.arithmetic, {group.N(), group.K});
    std::int64_t row = 0;
    for (const Projection& p : group.parts) {
      const Tensor rows = group.weight.rows(row, row + p.N);
      if (source_.has_codes(name_of(p))) {
        Projection codes;
        source_.take_codes(name_of(p), {p.N, group.K}, codes);
        const Tensor values = Tensor::empty(DType::f32, {p.N, group.K});
        dequantize_codes(codes, values.data<float>());
        ops::copy(values.to(to_.arithmetic), rows);
      } else {
        const Tensor weight = source_.weight(name_of(p), {p.N, group.K});
        ops::copy(ops::converted(weight, to_.arithmetic), rows);
        source_.done(name_of(p));
      }
      row += p.N;
    }
  }

  const WeightSource& source_;
  const LoadOptions& options_;
  const Placement& to_;
};

// The names of what load_model() reads of the decoder's layers.
std::set<std::string> weights_of_layers(const LlamaConfig& config) {
  std::set<std::string> names;
  const LlamaModel model = model_skeleton(config);
  model.for_each_projection(
      [&](const LinearGroup&, const Projection& p) { names.insert(p.name + ".weight"); });
  for (std::size_t l = 0; l < model.layers.size(); ++l) {
    const std::string prefix = "model.layers." + std::to_string(l) + ".";
    names.insert(prefix + "input_layernorm.weight");
    names.insert(prefix + "post_attention_layernorm.weight");
  }
  return names;
}

// A tensor of a layer that nothing would read belongs to another model than config.json describes.
// Older files have the rotary frequencies, which are computed here.
void refuse_unread(const TensorFiles& tensors, const LlamaConfig& config) {
  std::set<std::string> known = all_companions(tensors);
  known.merge(weights_of_layers(config));
  for (const std::string& name : tensors.names_with_prefix("model.layers.")) {
    if (known.contains(name) || name.ends_with(".rotary_emb.inv_freq")) continue;
    throw BadInput(tensors.file_of(name).path(), name,
                   "expected no such tensor: config.json says " +
                       std::to_string(config.num_hidden_layers) + " layers of " +
                       config.model_type);
  }
}

// Layers that have codes keep them: another format that is asked for would not come about.
void refuse_another_format(const ModelFolder& folder, const BitsAndBytesConfig& stored,
                           const LoadOptions& options) {
  if (!options.int8 && !options.quantize) return;
  const bool same_bits = options.int8 == stored.load_in_8bit;
  const bool same_codes = options.int8 || (stored.quant_type == options.quantize &&
                                           stored.use_double_quant == options.double_quant);
  if (same_bits && same_codes) return;
  throw BadInput(folder.path + "/config.json", "quantization_config",
                 "says another format than is asked for; only a folder in 16 bits takes any");
}

}  // namespace

LlamaModel load_model(const LlamaConfig& config, const WeightSource& source,
                      const LoadOptions& options) {
  LlamaModel model = model_skeleton(config);
  const LlamaConfig& c = model.config;
  const Loader loader(source, options);
  model.embed_tokens = loader.dense("model.embed_tokens.weight", {c.vocab_size, c.hidden_size});
  for (std::size_t l = 0; l < model.layers.size(); ++l) {
    DecoderLayer& layer = model.layers[l];
    const std::string prefix = "model.layers." + std::to_string(l) + ".";
    layer.input_layernorm = loader.dense(prefix + "input_layernorm.weight", {c.hidden_size});
    layer.post_attention_layernorm =
        loader.dense(prefix + "post_attention_layernorm.weight", {c.hidden_size});
    for (LinearGroup* group : {&layer.qkv, &layer.o, &layer.gate_up, &layer.down}) {
      loader.load(*group);
    }
    if (options.on_layer) options.on_layer(l + 1, model.layers.size());
  }
  model.norm = loader.dense("model.norm.weight", {c.hidden_size});
  model.lm_head = c.tie_word_embeddings
                      ? model.embed_tokens
                      : loader.dense("lm_head.weight", {c.vocab_size, c.hidden_size});
  return model;
}

LlamaModel load_model(const ModelFolder& folder, const LoadOptions& options) {
  const LlamaConfig config = llama_config(folder.config);
  // Refuses a quantization_config that the weights do not bear out.
  if (const auto stored = quantization_of(folder)) refuse_another_format(folder, *stored, options);
  refuse_unread(folder.tensors, config);
  return load_model(config, FileWeights(folder.tensors), options);
}

LlamaModel load_model(const std::string& path, const LoadOptions& options) {
  // Another architecture is refused by its name, whether or not its weights are there.
  llama_config(Json::read(path + "/config.json"));
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

std::vector<std::string> named_models() {
  return {"llama-3.2-1b", "llama-3.2-3b", "llama-3.1-8b", "llama-3.1-70b"};
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
  } else if (name == "llama-3.1-70b") {
    c.hidden_size = 8192;
    c.num_hidden_layers = 80;
    c.num_attention_heads = 64;
    c.head_dim = 128;
    c.intermediate_size = 28672;
    c.rope_scaling.factor = 8.0;
    c.tie_word_embeddings = false;
  } else {
    std::string names;
    for (const std::string& known : named_models()) names += (names.empty() ? "" : ", ") + known;
    throw UsageError("no model of the name " + name + "; there are " + names);
  }
  return c;
}

}  // namespace qlora
