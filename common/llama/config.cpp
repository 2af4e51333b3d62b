#include "llama/config.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <string_view>

#include "core/error.h"

namespace qlora {
namespace {

// What a model type computes, and what config.json need not say of it.
struct Family {
  std::string_view model_type;
  std::string_view architecture;
  std::string_view models;
  GateActivation activation;
  double norm_offset;
  bool scales_embedding;  // by sqrt C
  bool tied;              // lm_head is the embedding
  std::int64_t max_position_embeddings;
  std::int64_t key_value_heads;  // 0: as many as query heads
  std::int64_t head_dim;         // 0: hidden_size / num_attention_heads
};

constexpr Family kFamilies[] = {
    {"llama", "LlamaForCausalLM", "Llama 2, Llama 3.x, TinyLlama, SmolLM2, DeepSeek-Coder",
     GateActivation::silu, 0.0, false, false, 2048, 0, 0},
    {"gemma", "GemmaForCausalLM", "Gemma 1", GateActivation::gelu_tanh, 1.0, true, true, 8192, 16,
     256},
};

// As transformers calls it.
const char* name_of(GateActivation activation) {
  return activation == GateActivation::silu ? "silu" : "gelu_pytorch_tanh";
}

// "llama (Llama 2, …) or gemma (Gemma 1)"
std::string known_families() {
  std::string all;
  for (const Family& f : kFamilies) {
    if (!all.empty()) all += " or ";
    all.append(f.model_type).append(" (").append(f.models).append(")");
  }
  return all;
}

const Family& family_of(const Json& json) {
  const Json* type = json.find("model_type");
  const std::string name = type == nullptr ? "llama" : type->as_string();
  const auto* family = std::ranges::find(kFamilies, name, &Family::model_type);
  if (family == std::end(kFamilies)) {
    type->reject(known_families() + "; no other architecture is supported");
  }
  const Json* architectures = json.find("architectures");
  if (architectures == nullptr || architectures->as_array().empty()) return *family;
  const Json& architecture = architectures->as_array().front();
  if (architecture.as_string() != family->architecture) {
    architecture.reject(std::string(family->architecture) + ", the only one of model_type " + name +
                        " that is supported");
  }
  return *family;
}

// A file's numbers are used for sizes: none may be absurd, so that no product overflows.
constexpr std::int64_t kMostSize = std::int64_t{1} << 24;

std::int64_t size_member(const Json& json, const char* name) {
  const Json& value = json.at(name);
  const std::int64_t n = value.as_integer();
  if (n < 1 || n > kMostSize) value.reject("a size between 1 and 2^24");
  return n;
}

// Where it is not there: what the family has, and if that is nothing the other sizes' own.
std::int64_t size_or(const Json& json, const char* name, std::int64_t of_family,
                     std::int64_t otherwise) {
  if (json.find(name) != nullptr) return size_member(json, name);
  return of_family > 0 ? of_family : otherwise;
}

void read_rope(const Json& json, LlamaConfig& config) {
  const Json* v5 = json.find("rope_parameters");
  const Json* v4 = json.find("rope_scaling");
  if (const Json* theta = (v5 != nullptr ? *v5 : json).find("rope_theta")) {
    config.rope_theta = theta->as_number();
    if (!(config.rope_theta > 0)) theta->reject("a positive number");
  }
  const Json* scaling = v5 != nullptr ? v5 : v4;
  if (scaling == nullptr) return;
  if (const Json* part = scaling->find("partial_rotary_factor");
      part != nullptr && part->as_number() != 1) {
    part->reject("1: heads that turn in part are not supported");
  }
  RopeScaling& r = config.rope_scaling;
  const Json* type = scaling->find("rope_type");
  if (type == nullptr) type = scaling->find("type");  // the name before transformers 4.43
  if (type == nullptr || type->as_string() == "default") return;
  r.rope_type = type->as_string();
  if (r.rope_type != "llama3" && r.rope_type != "linear") {
    type->reject("a rope type of default, linear or llama3; no other is supported");
  }
  r.factor = scaling->at("factor").as_number();
  if (!(r.factor >= 1)) scaling->at("factor").reject("a number of at least 1");
  if (r.rope_type == "linear") return;
  r.low_freq_factor = scaling->at("low_freq_factor").as_number();
  r.high_freq_factor = scaling->at("high_freq_factor").as_number();
  r.original_max_position_embeddings = size_member(*scaling, "original_max_position_embeddings");
  if (!(r.low_freq_factor > 0 && r.high_freq_factor > r.low_freq_factor)) {
    scaling->at("high_freq_factor").reject("a number above low_freq_factor, which is above 0");
  }
}

void read_tokens(const Json& json, LlamaConfig& config) {
  const auto token = [&](const Json& value) {
    const std::int64_t id = value.as_integer();
    if (id < 0 || id >= config.vocab_size) value.reject("a token id below vocab_size");
    return id;
  };
  if (const Json* bos = json.find("bos_token_id")) config.bos_token_id = token(*bos);
  if (const Json* eos = json.find("eos_token_id")) {
    if (eos->is_array()) {
      for (const Json& id : eos->as_array()) config.eos_token_ids.push_back(token(id));
    } else {
      config.eos_token_ids.push_back(token(*eos));
    }
  }
}

// Refuses what would silently be computed differently from what the file says.
void refuse_unsupported(const Json& json, const Family& family) {
  for (const char* name : {"attention_bias", "mlp_bias"}) {
    if (const Json* bias = json.find(name); bias != nullptr && bias->as_bool()) {
      bias->reject("false: projections with biases are not supported");
    }
  }
  if (const Json* both = json.find("use_bidirectional_attention");
      both != nullptr && both->as_bool()) {
    both->reject("false: attention is causal here");
  }
  const Json* act = json.find("hidden_act");
  if (family.activation == GateActivation::gelu_tanh) {
    const Json* newer = json.find("hidden_activation");
    // Gemma's first folders say "gelu" of weights that were trained with its approximation.
    const bool is_quirk = newer == nullptr && act != nullptr && act->as_string() == "gelu";
    act = is_quirk ? nullptr : newer != nullptr ? newer : act;
  }
  if (act != nullptr && act->as_string() != name_of(family.activation)) {
    act->reject(std::string(name_of(family.activation)) + ", the only activation of " +
                std::string(family.models) + " that is supported");
  }
}

}  // namespace

LlamaConfig llama_config(const Json& json) {
  const Family& family = family_of(json);
  refuse_unsupported(json, family);
  LlamaConfig c;
  c.model_type = family.model_type;
  c.activation = family.activation;
  c.norm_offset = family.norm_offset;
  c.max_position_embeddings = family.max_position_embeddings;
  c.tie_word_embeddings = family.tied;
  c.hidden_size = size_member(json, "hidden_size");
  c.num_hidden_layers = size_member(json, "num_hidden_layers");
  c.num_attention_heads = size_member(json, "num_attention_heads");
  c.intermediate_size = size_member(json, "intermediate_size");
  c.vocab_size = size_member(json, "vocab_size");
  c.num_key_value_heads =
      size_or(json, "num_key_value_heads", family.key_value_heads, c.num_attention_heads);
  c.head_dim = size_or(json, "head_dim", family.head_dim, c.hidden_size / c.num_attention_heads);
  if (family.scales_embedding) c.embedding_scale = std::sqrt(static_cast<double>(c.hidden_size));
  if (c.num_attention_heads % c.num_key_value_heads != 0) {
    (json.find("num_key_value_heads") != nullptr ? json.at("num_key_value_heads")
                                                 : json.at("num_attention_heads"))
        .reject("query heads that are a multiple of the key-value heads, of which there are " +
                std::to_string(c.num_key_value_heads));
  }
  if (c.head_dim < 2 || c.head_dim % 2 != 0 || c.head_dim > 4096) {
    (json.find("head_dim") != nullptr ? json.at("head_dim") : json.at("hidden_size"))
        .reject("an even head size of 2 to 4096");
  }
  if (json.find("max_position_embeddings") != nullptr) {
    c.max_position_embeddings = size_member(json, "max_position_embeddings");
  }
  if (const Json* eps = json.find("rms_norm_eps")) {
    c.rms_norm_eps = eps->as_number();
    if (!(c.rms_norm_eps >= 0 && c.rms_norm_eps < 1)) eps->reject("a small positive number");
  }
  if (const Json* tied = json.find("tie_word_embeddings")) c.tie_word_embeddings = tied->as_bool();
  const Json* dtype = json.find("dtype");
  if (dtype == nullptr) dtype = json.find("torch_dtype");
  if (dtype != nullptr) {
    const auto known = dtype_from_python(dtype->as_string());
    if (!known || !is_floating(*known)) dtype->reject("float32, float16 or bfloat16");
    c.dtype = *known;
  }
  read_rope(json, c);
  read_tokens(json, c);
  return c;
}

std::int64_t LlamaConfig::parameter_count() const {
  const std::int64_t attention = hidden_size * qkv_size() + attention_size() * hidden_size;
  const std::int64_t layer = attention + 3 * hidden_size * intermediate_size + 2 * hidden_size;
  const std::int64_t embeddings = vocab_size * hidden_size * (tie_word_embeddings ? 1 : 2);
  return embeddings + num_hidden_layers * layer + hidden_size;
}

Json to_json(const LlamaConfig& c) {
  const Family& family = *std::ranges::find(kFamilies, c.model_type, &Family::model_type);
  Json j = Json::object();
  j["architectures"].push_back(std::string(family.architecture));
  j["attention_bias"] = false;
  j["attention_dropout"] = 0.0;
  if (c.bos_token_id >= 0) j["bos_token_id"] = c.bos_token_id;
  if (c.eos_token_ids.size() == 1) {
    j["eos_token_id"] = c.eos_token_ids[0];
  } else {
    for (std::int64_t id : c.eos_token_ids) j["eos_token_id"].push_back(id);
  }
  j["head_dim"] = c.head_dim;
  j["hidden_act"] = name_of(family.activation);
  j["hidden_size"] = c.hidden_size;
  j["initializer_range"] = 0.02;
  j["intermediate_size"] = c.intermediate_size;
  j["max_position_embeddings"] = c.max_position_embeddings;
  j["mlp_bias"] = false;
  j["model_type"] = c.model_type;
  j["num_attention_heads"] = c.num_attention_heads;
  j["num_hidden_layers"] = c.num_hidden_layers;
  j["num_key_value_heads"] = c.num_key_value_heads;
  j["pretraining_tp"] = 1;
  j["rms_norm_eps"] = c.rms_norm_eps;
  if (c.rope_scaling.rope_type == "default") {
    j["rope_scaling"] = Json();
  } else {
    Json& r = j["rope_scaling"];
    r["factor"] = c.rope_scaling.factor;
    if (c.rope_scaling.rope_type == "llama3") {
      r["high_freq_factor"] = c.rope_scaling.high_freq_factor;
      r["low_freq_factor"] = c.rope_scaling.low_freq_factor;
      r["original_max_position_embeddings"] = c.rope_scaling.original_max_position_embeddings;
    }
    r["rope_type"] = c.rope_scaling.rope_type;
  }
  j["rope_theta"] = c.rope_theta;
  j["tie_word_embeddings"] = c.tie_word_embeddings;
  j["torch_dtype"] = std::string(python_name(c.dtype));
  j["transformers_version"] = "4.45.0";
  j["use_cache"] = true;
  j["vocab_size"] = c.vocab_size;
  return j;
}

}  // namespace qlora
