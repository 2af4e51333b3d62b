#include "llama/shapes.h"

#include <algorithm>
#include <iterator>
#include <string_view>

#include "core/error.h"
#include "llama/config.h"

namespace qlora {
namespace {

constexpr std::int64_t kMostLayers = 4096;  // a list of modules is made for each

// In what the model types differ, where config.json does not say.
struct Family {
  std::string_view model_type;
  bool tied;                ///< lm_head is the embedding
  bool qkv_bias;            ///< q_proj, k_proj and v_proj have biases, whatever attention_bias says
  std::int64_t head_dim;    ///< 0: hidden_size / num_attention_heads
  std::int64_t norms;       ///< of C, in a layer
  std::int64_t head_norms;  ///< of D, in a layer: of q and k
};

constexpr Family kFamilies[] = {
    {"llama", false, false, 0, 2, 0},  {"mistral", false, false, 0, 2, 0},
    {"gemma", true, false, 256, 2, 0}, {"gemma2", true, false, 256, 4, 0},
    {"qwen2", false, true, 0, 2, 0},   {"qwen3", false, false, 128, 2, 2},
    {"phi", false, false, 0, 1, 0},
};

const Family& family_of(const Json& config) {
  const Json& type = config.at("model_type");
  const auto* found =
      std::find_if(std::begin(kFamilies), std::end(kFamilies),
                   [&](const Family& f) { return f.model_type == type.as_string(); });
  if (found != std::end(kFamilies)) return *found;
  std::string known;
  for (const Family& f : kFamilies) {
    known += (known.empty() ? "" : ", ") + std::string(f.model_type);
  }
  type.reject("one of the model types " + known);
}

// The sizes, read and checked as a Llama's: their names and limits are the same.
LlamaConfig sizes_of(const Json& config, const Family& family) {
  Json sizes = Json::object();
  for (const char* name :
       {"hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
        "head_dim", "intermediate_size", "vocab_size", "tie_word_embeddings"}) {
    if (const Json* value = config.find(name)) sizes[name] = *value;
  }
  if (sizes.find("tie_word_embeddings") == nullptr) sizes["tie_word_embeddings"] = family.tied;
  if (sizes.find("head_dim") == nullptr && family.head_dim > 0) sizes["head_dim"] = family.head_dim;
  for (const char* name : {"hidden_size", "num_hidden_layers", "num_attention_heads",
                           "intermediate_size", "vocab_size"}) {
    config.at(name);  // so that the error names the file
  }
  LlamaConfig c = llama_config(sizes);
  if (c.num_hidden_layers > kMostLayers) {
    config.at("num_hidden_layers").reject("at most " + std::to_string(kMostLayers));
  }
  return c;
}

bool flag(const Json& config, const char* name) {
  const Json* value = config.find(name);
  return value != nullptr && value->as_bool();
}

std::vector<LinearShape> attention(const LlamaConfig& c, const char* output) {
  const std::int64_t C = c.hidden_size;
  return {{"self_attn.q_proj", C, c.attention_size()},
          {"self_attn.k_proj", C, c.key_value_size()},
          {"self_attn.v_proj", C, c.key_value_size()},
          {std::string("self_attn.") + output, c.attention_size(), C}};
}

// Phi: an MLP of two maps, biases everywhere, LayerNorms of weight and bias.
ModelShapes phi_shapes(const LlamaConfig& c) {
  const std::int64_t C = c.hidden_size, F = c.intermediate_size, V = c.vocab_size;
  ModelShapes m{"phi", attention(c, "dense"), c.num_hidden_layers, 0};
  m.layer.push_back({"mlp.fc1", C, F});
  m.layer.push_back({"mlp.fc2", F, C});
  const std::int64_t biases = c.qkv_size() + C + F + C;
  const std::int64_t last_norm_and_head = C + (c.tie_word_embeddings ? 0 : V);
  m.parameters = decoder_parameters(m.layer, m.layers, C, V, c.tie_word_embeddings) +
                 m.layers * biases + last_norm_and_head;
  return m;
}

}  // namespace

ModelShapes model_shapes(const Json& config) {
  const Family& family = family_of(config);
  const LlamaConfig c = sizes_of(config, family);
  if (family.model_type == "phi") return phi_shapes(c);
  const std::int64_t C = c.hidden_size, F = c.intermediate_size;
  ModelShapes m{std::string(family.model_type), attention(c, "o_proj"), c.num_hidden_layers, 0};
  m.layer.push_back({"mlp.gate_proj", C, F});
  m.layer.push_back({"mlp.up_proj", C, F});
  m.layer.push_back({"mlp.down_proj", F, C});
  const bool all_biases = flag(config, "attention_bias");
  std::int64_t others = (family.norms - 2) * C + family.head_norms * c.head_dim;
  if (family.qkv_bias || all_biases) others += c.qkv_size();
  if (all_biases) others += C;
  if (flag(config, "mlp_bias")) others += 2 * F + C;
  m.parameters = decoder_parameters(m.layer, m.layers, C, c.vocab_size, c.tie_word_embeddings) +
                 m.layers * others;
  return m;
}

}  // namespace qlora
