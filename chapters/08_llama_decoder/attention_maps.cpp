#include "attention_maps.h"

#include <numeric>

#include "core/error.h"
#include "llama/decoder.h"
#include "ops/ops.h"

namespace qlora::chapter08 {
namespace {

// The weights (T, H·D) of a layer's attention on its input x (T,C): value t is the unit vector t.
Tensor weights_of(const LlamaModel& model, const DecoderLayer& layer, const Tensor& x,
                  Arena& arena) {
  const LlamaConfig& c = model.config;
  const std::int64_t T = x.dim(0), H = c.num_attention_heads, K = c.num_key_value_heads;
  const std::int64_t D = c.head_dim, columns = c.qkv_size();
  const Tensor h = arena.take(x.dtype(), x.shape()), rstd = arena.take(x.dtype(), {T});
  const Tensor qkv = arena.take(x.dtype(), {T, columns});
  const Tensor positions = Tensor::empty(DType::i32, {T});
  std::iota(positions.data<std::int32_t>(), positions.data<std::int32_t>() + T, 0);
  ops::rms_norm_forward(x, layer.input_layernorm, c.rms_norm_eps, h, rstd);
  ops::linear_forward(layer.qkv, h, Tensor(), {}, arena, qkv, nullptr);
  ops::rope_forward(qkv, H + K, D, positions, model.rope_cos, model.rope_sin);
  for (std::int64_t t = 0; t < T; ++t) {
    float* v = qkv.data<float>() + t * columns + (H + K) * D;
    for (std::int64_t i = 0; i < K * D; ++i) v[i] = i % D == t ? 1.0f : 0.0f;
  }
  Tensor out = Tensor::empty(DType::f32, {T, H * D});
  ops::attention_forward({1, T, T, H, K, D}, qkv, Tensor(), out, arena.take(DType::f32, {1, H, T}));
  return out;
}

}  // namespace

double AttentionMaps::at(std::int64_t layer, std::int64_t head, std::int64_t t,
                         std::int64_t j) const {
  const Tensor& weights = of_layer.at(static_cast<std::size_t>(layer));
  return static_cast<double>(weights.data<float>()[t * weights.dim(1) + head * head_dim + j]);
}

AttentionMaps attention_maps(LlamaModel& model, const Tokenizer& tokenizer,
                             const std::string& text) {
  const std::vector<std::int32_t> ids = tokenizer.encode(text);
  const auto T = static_cast<std::int64_t>(ids.size());
  require(T <= model.config.head_dim, "attention_maps", "at most as many tokens as a head is wide");
  model.reserve_positions(T);
  Arena arena;
  std::vector<Tensor> states;
  const TokenizedExample row{ids, ids};
  const std::int64_t first = 0;
  hidden_forward(model, collate(std::span(&row, 1), std::span(&first, 1), 0), arena, &states);
  AttentionMaps maps{
      {}, std::ssize(model.layers), model.config.num_attention_heads, {}, model.config.head_dim};
  for (const std::int32_t id : ids) {
    maps.tokens.push_back(tokenizer.decode(std::span(&id, 1), false));
  }
  for (std::size_t l = 0; l < model.layers.size(); ++l) {
    maps.of_layer.push_back(weights_of(model, model.layers[l], states[l], arena));
  }
  return maps;
}

}  // namespace qlora::chapter08
