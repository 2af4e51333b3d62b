#include "llama/module_tree.h"

#include <algorithm>
#include <iterator>
#include <string_view>
#include <utility>
#include <vector>

#include "core/error.h"
#include "llama/shapes.h"

namespace qlora {
namespace {

// A module as torch has it: the attribute that holds it, its class, what extra_repr() says, and the
// modules in it. Of a list equal neighbors are printed once.
struct Module {
  std::string name, type, extra = {};
  std::vector<Module> children = {};
  bool is_list = false;
};

std::string printed(const Module& m);

std::string indented(std::string_view text) {
  std::string out;
  for (const char c : text) {
    out += c;
    if (c == '\n') out += "  ";
  }
  return out;
}

// torch.nn.ModuleList.__repr__: "(0-27): 28 x " before what 28 neighbors have in common.
std::vector<std::string> list_lines(const Module& list) {
  std::vector<std::string> texts, lines;
  texts.reserve(list.children.size());
  for (const Module& child : list.children) texts.push_back(printed(child));
  for (std::size_t begin = 0, end = 0; begin < texts.size(); begin = end) {
    while (end < texts.size() && texts[end] == texts[begin]) ++end;
    std::string line = "(" + std::to_string(begin);
    if (end - begin > 1) {
      line += "-" + std::to_string(end - 1) + "): " + std::to_string(end - begin) + " x ";
    } else {
      line += "): ";
    }
    lines.push_back(line + texts[begin]);
  }
  return lines;
}

// torch.nn.Module.__repr__.
std::string printed(const Module& m) {
  if (m.children.empty()) return m.type + "(" + m.extra + ")";
  std::vector<std::string> lines;
  if (m.is_list) {
    lines = list_lines(m);
  } else {
    for (const Module& child : m.children) {
      lines.push_back("(" + child.name + "): " + printed(child));
    }
  }
  std::string out = m.type + "(";
  for (const std::string& line : lines) out += indented("\n" + line);
  return out + "\n)";
}

// What config.json does not say of a model type.
struct Family {
  std::string_view model_type;
  std::string_view prefix;  // of its classes
  bool qkv_bias;            // whatever attention_bias says
  bool head_norms;          // of q and k
  bool feedforward_norms;   // before and behind the MLP, beside the two others
  bool is_gemma;            // its embedding is scaled, its padding token 0, its activation a GELU
};

constexpr Family kFamilies[] = {
    {"llama", "Llama", false, false, false, false},
    {"mistral", "Mistral", false, false, false, false},
    {"gemma", "Gemma", false, false, false, true},
    {"gemma2", "Gemma2", false, false, true, true},
    {"qwen2", "Qwen2", true, false, false, false},
    {"qwen3", "Qwen3", false, true, false, false},
    {"phi", "Phi", true, false, false, false},
};

// model_shapes() has refused every other type.
const Family& family_of(const std::string& model_type) {
  return *std::find_if(std::begin(kFamilies), std::end(kFamilies),
                       [&](const Family& f) { return f.model_type == model_type; });
}

constexpr const char* kDora = "lora.dora.DoraLinearLayer";

// As Python prints a float.
std::string python(double x) {
  return Json(x).dump();
}

Module linear(std::string name, std::string type, const LinearShape& shape, bool bias) {
  return {std::move(name), std::move(type),
          "in_features=" + std::to_string(shape.K) + ", out_features=" + std::to_string(shape.N) +
              ", bias=" + (bias ? "True" : "False")};
}

Module dropout(std::string name, double p) {
  return {std::move(name), "Dropout", "p=" + python(p) + ", inplace=False"};
}

// The modules of one model, made from the inside to the outside.
class Modules {
 public:
  Modules(const Json& config, const std::optional<BitsAndBytesConfig>& quantization,
          std::span<const NamedLora> adapters)
      : config_(config),
        shapes_(model_shapes(config)),
        family_(family_of(shapes_.model_type)),
        quantization_(quantization),
        adapters_(adapters) {
    for (const NamedLora& adapter : adapters) {
      carriers_.push_back(adapter_shapes(adapter.config, stacked(shapes_.layer, shapes_.layers)));
    }
  }

  Module model() const {
    const std::int64_t C = size("hidden_size"), V = size("vocab_size");
    Module layers{"layers", "ModuleList", {}, {}, true};
    for (std::int64_t l = 0; l < shapes_.layers; ++l) {
      layers.children.push_back(is_phi() ? phi_layer(l) : layer(l));
    }
    Module inner{"model", type("Model"), {}, {embedding(V, C), std::move(layers)}};
    const Module rotary{"rotary_emb", type("RotaryEmbedding")};
    if (is_phi()) {
      const std::vector<Module> end{rotary, dropout("embed_dropout", number("embd_pdrop", 0.0)),
                                    norm("final_layernorm", C)};
      inner.children.insert(inner.children.end(), end.begin(), end.end());
    } else {
      inner.children.push_back(norm("norm", C));
      inner.children.push_back(rotary);
    }
    const LinearShape head{"lm_head", C, V};
    return {"model",
            type("ForCausalLM"),
            {},
            {std::move(inner), linear("lm_head", "Linear", head, is_phi())}};
  }

 private:
  bool is_phi() const { return family_.model_type == "phi"; }
  std::string type(std::string_view what) const { return std::string(family_.prefix).append(what); }
  std::int64_t size(const char* name) const { return config_.at(name).as_integer(); }
  double number(const char* name, double otherwise) const {
    const Json* value = config_.find(name);
    return value == nullptr ? otherwise : value->as_number();
  }
  bool flag(const char* name) const {
    const Json* value = config_.find(name);
    return value != nullptr && value->as_bool();
  }

  Module embedding(std::int64_t V, std::int64_t C) const {
    std::string extra = std::to_string(V) + ", " + std::to_string(C);
    if (const Json* padding = config_.find("pad_token_id")) {
      extra += ", padding_idx=" + std::to_string(padding->as_integer());
    } else if (family_.is_gemma) {
      extra += ", padding_idx=0";
    }
    return {"embed_tokens", family_.is_gemma ? type("TextScaledWordEmbedding") : "Embedding",
            extra};
  }

  Module norm(const char* name, std::int64_t of) const {
    const std::string head = "(" + std::to_string(of) + ",), eps=";
    if (is_phi()) {
      return {
          name, "LayerNorm",
          head + python(number("layer_norm_eps", 1e-5)) + ", elementwise_affine=True, bias=True"};
    }
    return {name, type("RMSNorm"), head + python(number("rms_norm_eps", 1e-6))};
  }

  Module activation(const char* name) const {
    const std::string otherwise = family_.is_gemma ? "gelu_pytorch_tanh"
                                  : is_phi()       ? "gelu_new"
                                                   : "silu";
    const Json* found = config_.find("hidden_activation");  // Gemma's, which wins there
    if (found == nullptr) found = config_.find("hidden_act");
    const std::string act = found == nullptr ? otherwise : found->as_string();
    if (act == "silu") return {name, "SiLUActivation"};
    if (act == "gelu") return {name, family_.is_gemma ? "GELUTanh" : "GELUActivation"};
    if (act == "gelu_pytorch_tanh") return {name, "GELUTanh"};
    if (act == "gelu_new") return {name, "NewGELUActivation"};
    found->reject("silu, gelu, gelu_new or gelu_pytorch_tanh");
  }

  bool has_bias(const LinearShape& shape) const {
    if (is_phi()) return true;
    if (shape.name.starts_with("mlp.")) return flag("mlp_bias");
    return flag("attention_bias") || (family_.qkv_bias && !shape.name.ends_with("o_proj"));
  }

  std::string linear_type(const std::string& module, const LinearShape& shape) const {
    const TensorInfo weight{module + ".weight", DType::bf16, {shape.N, shape.K}};
    if (!quantization_ || !is_quantizable(weight, *quantization_)) return "Linear";
    return quantization_->load_in_8bit ? "Linear8bitLt" : "Linear4bit";
  }

  // A linear map, and around it what PEFT puts there (tuners/lora/layer.py, LoraLayer).
  Module projection(std::int64_t l, const LinearShape& shape) const {
    const std::string module = "model.layers." + std::to_string(l) + "." + shape.name;
    const std::string name = shape.name.substr(shape.name.rfind('.') + 1);
    Module base = linear(name, linear_type(module, shape), shape, has_bias(shape));
    Module drop{"lora_dropout", "ModuleDict"}, A{"lora_A", "ModuleDict"}, B{"lora_B", "ModuleDict"};
    Module magnitude{"lora_magnitude_vector", "ModuleDict"};
    for (std::size_t i = 0; i < adapters_.size(); ++i) {
      const auto found =
          std::find_if(carriers_[i].begin(), carriers_[i].end(),
                       [&](const AdapterShape& a) { return a.linear.name == module; });
      if (found == carriers_[i].end()) continue;
      const std::string& key = adapters_[i].name;
      const double p = adapters_[i].config.lora_dropout;
      drop.children.push_back(p > 0 ? dropout(key, p) : Module{key, "Identity"});
      A.children.push_back(linear(key, "Linear", {key, shape.K, found->R}, false));
      B.children.push_back(linear(key, "Linear", {key, found->R, shape.N}, false));
      if (adapters_[i].config.use_dora) magnitude.children.push_back({key, kDora});
    }
    if (A.children.empty()) return base;
    Module out{name, "lora." + base.type};
    base.name = "base_layer";
    out.children = {std::move(base),
                    std::move(drop),
                    std::move(A),
                    std::move(B),
                    {"lora_embedding_A", "ParameterDict"},
                    {"lora_embedding_B", "ParameterDict"},
                    std::move(magnitude)};
    return out;
  }

  // The maps of a layer that are in one of its two blocks.
  Module block(std::int64_t l, const char* name, const char* of_type) const {
    Module out{name, type(of_type)};
    for (const LinearShape& shape : shapes_.layer) {
      if (shape.name.starts_with(name)) out.children.push_back(projection(l, shape));
    }
    return out;
  }

  Module layer(std::int64_t l) const {
    const std::int64_t C = size("hidden_size");
    Module attention = block(l, "self_attn", "Attention"), mlp = block(l, "mlp", "MLP");
    if (family_.head_norms) {
      const std::int64_t D = config_.find("head_dim") != nullptr ? size("head_dim") : 128;
      attention.children.push_back(norm("q_norm", D));
      attention.children.push_back(norm("k_norm", D));
    }
    mlp.children.push_back(activation("act_fn"));
    Module out{"", type("DecoderLayer"), {}, {std::move(attention), std::move(mlp)}};
    out.children.push_back(norm("input_layernorm", C));
    out.children.push_back(norm("post_attention_layernorm", C));
    if (family_.feedforward_norms) {
      out.children.push_back(norm("pre_feedforward_layernorm", C));
      out.children.push_back(norm("post_feedforward_layernorm", C));
    }
    return out;
  }

  Module phi_layer(std::int64_t l) const {
    Module mlp = block(l, "mlp", "MLP");
    mlp.children.insert(mlp.children.begin(), activation("activation_fn"));
    return {"",
            type("DecoderLayer"),
            {},
            {block(l, "self_attn", "Attention"), std::move(mlp),
             norm("input_layernorm", size("hidden_size")),
             dropout("resid_dropout", number("resid_pdrop", 0.0))}};
  }

  const Json& config_;
  const ModelShapes shapes_;
  const Family& family_;
  const std::optional<BitsAndBytesConfig>& quantization_;
  std::span<const NamedLora> adapters_;
  std::vector<std::vector<AdapterShape>> carriers_;  // of each adapter
};

}  // namespace

std::string module_tree(const Json& config, const std::optional<BitsAndBytesConfig>& quantization,
                        std::span<const NamedLora> adapters) {
  Module model = Modules(config, quantization, adapters).model();
  if (!adapters.empty()) {
    Module lora{"base_model", "LoraModel", {}, {std::move(model)}};
    model = {"", "PeftModelForCausalLM", {}, {std::move(lora)}};
  }
  return printed(model) + "\n";
}

}  // namespace qlora
