#include "llama/model.h"

#include <cmath>

#include "ops/device_memory.h"

namespace qlora {
namespace {

LinearGroup group_of(std::int64_t K, const std::string& prefix,
                     std::initializer_list<std::pair<const char*, std::int64_t>> parts) {
  LinearGroup group;
  group.K = K;
  for (const auto& [name, N] : parts) {
    Projection p;
    p.name = prefix + name;
    p.N = N;
    group.parts.push_back(std::move(p));
  }
  return group;
}

template <typename Layer, typename F>
void each_group(Layer& layer, F&& f) {
  f(layer.qkv);
  f(layer.o);
  f(layer.gate_up);
  f(layer.down);
}

// A norm's weight (C) by which it multiplies by 1.
Tensor neutral_norm(const LlamaConfig& c) {
  Tensor t = Tensor::empty(DType::f32, {c.hidden_size});
  for (float& x : t.span<float>()) x = static_cast<float>(1.0 - c.norm_offset);
  return t;
}

}  // namespace

LlamaModel model_skeleton(const LlamaConfig& c) {
  LlamaModel model;
  model.config = c;
  for (std::int64_t l = 0; l < c.num_hidden_layers; ++l) {
    const std::string prefix = "model.layers." + std::to_string(l) + ".";
    DecoderLayer layer;
    layer.qkv = group_of(c.hidden_size, prefix + "self_attn.",
                         {{"q_proj", c.attention_size()},
                          {"k_proj", c.key_value_size()},
                          {"v_proj", c.key_value_size()}});
    layer.o = group_of(c.attention_size(), prefix + "self_attn.", {{"o_proj", c.hidden_size}});
    layer.gate_up =
        group_of(c.hidden_size, prefix + "mlp.",
                 {{"gate_proj", c.intermediate_size}, {"up_proj", c.intermediate_size}});
    layer.down = group_of(c.intermediate_size, prefix + "mlp.", {{"down_proj", c.hidden_size}});
    model.layers.push_back(std::move(layer));
  }
  return model;
}

LlamaModel random_model(const LlamaConfig& c, std::uint64_t seed) {
  LlamaModel model = model_skeleton(c);
  std::uint64_t stream = 0;
  const auto normal = [&](Shape shape) {
    Tensor t = Tensor::empty(DType::f32, std::move(shape));
    ops::fill_normal(t, 0.02f, {seed, stream_of(0x77656967, stream++)});
    return t;
  };
  model.embed_tokens = normal({c.vocab_size, c.hidden_size});
  model.lm_head = c.tie_word_embeddings ? model.embed_tokens : normal(model.embed_tokens.shape());
  model.norm = neutral_norm(c);
  for (DecoderLayer& layer : model.layers) {
    layer.input_layernorm = neutral_norm(c);
    layer.post_attention_layernorm = neutral_norm(c);
    each_group(layer, [&](LinearGroup& g) { g.weight = normal({g.N(), g.K}); });
  }
  return model;
}

void LlamaModel::reserve_positions(std::int64_t n) {
  require(n <= config.max_position_embeddings, "reserve_positions",
          "at most max_position_embeddings positions");
  if (rope_cos && rope_cos.dim(0) >= n) return;
  const std::vector<float> frequencies = inverse_frequencies(config);
  const auto half = static_cast<std::int64_t>(frequencies.size());
  const Tensor cos = Tensor::empty(DType::f32, {n, half}),
               sin = Tensor::empty(DType::f32, {n, half});
  for (std::int64_t position = 0; position < n; ++position) {
    for (std::int64_t i = 0; i < half; ++i) {
      const float angle = static_cast<float>(position) * frequencies[static_cast<std::size_t>(i)];
      cos.data<float>()[position * half + i] = std::cos(angle);
      sin.data<float>()[position * half + i] = std::sin(angle);
    }
  }
  rope_cos = ops::on(device(), cos);
  rope_sin = ops::on(device(), sin);
}

void LlamaModel::for_each_projection(const std::function<void(LinearGroup&, Projection&)>& f) {
  for (DecoderLayer& layer : layers) {
    each_group(layer, [&](LinearGroup& g) {
      for (Projection& p : g.parts) f(g, p);
    });
  }
}

void LlamaModel::for_each_projection(
    const std::function<void(const LinearGroup&, const Projection&)>& f) const {
  for (const DecoderLayer& layer : layers) {
    each_group(layer, [&](const LinearGroup& g) {
      for (const Projection& p : g.parts) f(g, p);
    });
  }
}

namespace {

// Rows of each projection in its group's stacked tensor.
void each_part(const LinearGroup& g, const Tensor& stacked,
               const std::function<void(const Projection&, const Tensor&)>& f) {
  std::int64_t row = 0;
  for (const Projection& p : g.parts) {
    f(p, stacked.rows(row, row + p.N));
    row += p.N;
  }
}

}  // namespace

std::vector<std::pair<std::string, Tensor>> dense_weights(const LlamaModel& model) {
  std::vector<std::pair<std::string, Tensor>> weights;
  weights.emplace_back("model.embed_tokens.weight", model.embed_tokens);
  for (std::size_t l = 0; l < model.layers.size(); ++l) {
    const DecoderLayer& layer = model.layers[l];
    const std::string prefix = "model.layers." + std::to_string(l) + ".";
    weights.emplace_back(prefix + "input_layernorm.weight", layer.input_layernorm);
    weights.emplace_back(prefix + "post_attention_layernorm.weight",
                         layer.post_attention_layernorm);
    each_group(layer, [&](const LinearGroup& g) {
      if (!g.weight) return;
      each_part(g, g.weight, [&](const Projection& p, const Tensor& rows) {
        weights.emplace_back(p.name + ".weight", rows);
      });
    });
  }
  weights.emplace_back("model.norm.weight", model.norm);
  if (model.lm_head.raw() != model.embed_tokens.raw()) {
    weights.emplace_back("lm_head.weight", model.lm_head);
  }
  return weights;
}

std::vector<Parameter> enable_full_training(LlamaModel& model) {
  const auto zeros = [](const Tensor& t) {
    return ops::on(t.device(), Tensor::zeros(t.dtype(), t.shape()));
  };
  std::vector<Parameter> parameters;
  model.grad_embed_tokens = zeros(model.embed_tokens);
  parameters.push_back({"model.embed_tokens.weight", model.embed_tokens, model.grad_embed_tokens});
  for (std::size_t l = 0; l < model.layers.size(); ++l) {
    DecoderLayer& layer = model.layers[l];
    const std::string prefix = "model.layers." + std::to_string(l) + ".";
    each_group(layer, [&](LinearGroup& g) {
      require(static_cast<bool>(g.weight), "enable_full_training", "a base that is not quantized");
      g.grad_weight = zeros(g.weight);
      each_part(g, g.weight, [&](const Projection& p, const Tensor& rows) {
        parameters.push_back({p.name + ".weight", rows, Tensor()});
      });
      std::size_t at = parameters.size() - g.parts.size();
      each_part(g, g.grad_weight,
                [&](const Projection&, const Tensor& rows) { parameters[at++].grad = rows; });
    });
    layer.grad_input_layernorm = zeros(layer.input_layernorm);
    layer.grad_post_attention_layernorm = zeros(layer.post_attention_layernorm);
    parameters.push_back(
        {prefix + "input_layernorm.weight", layer.input_layernorm, layer.grad_input_layernorm});
    parameters.push_back({prefix + "post_attention_layernorm.weight",
                          layer.post_attention_layernorm, layer.grad_post_attention_layernorm});
  }
  model.grad_norm = zeros(model.norm);
  parameters.push_back({"model.norm.weight", model.norm, model.grad_norm});
  if (model.lm_head.raw() == model.embed_tokens.raw()) {
    model.grad_lm_head = model.grad_embed_tokens;  // tied: both gradients meet in one tensor
  } else {
    model.grad_lm_head = zeros(model.lm_head);
    parameters.push_back({"lm_head.weight", model.lm_head, model.grad_lm_head});
  }
  return parameters;
}

}  // namespace qlora
