#include "llama/generation.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "core/error.h"
#include "ops/ops.h"

namespace qlora {
namespace {

// Copies the key and value columns of new rows of qkv behind what the cache holds.
void append(const LlamaConfig& c, const Tensor& qkv, std::int64_t at, const Tensor& keys,
            const Tensor& values) {
  const std::size_t element = size_of(qkv.dtype());
  const auto row = static_cast<std::size_t>(c.key_value_size()) * element;
  const auto* from = static_cast<const std::byte*>(qkv.raw());
  for (std::int64_t i = 0; i < qkv.dim(0); ++i) {
    const std::byte* k =
        from + static_cast<std::size_t>(i * c.qkv_size() + c.attention_size()) * element;
    const std::size_t to = static_cast<std::size_t>(at + i) * row;
    std::memcpy(static_cast<std::byte*>(keys.raw()) + to, k, row);
    std::memcpy(static_cast<std::byte*>(values.raw()) + to, k + row, row);
  }
}

}  // namespace

KeyValueCache::KeyValueCache(const LlamaModel& model, std::int64_t capacity) {
  for (std::size_t l = 0; l < model.layers.size(); ++l) {
    const Shape shape{1, capacity, model.config.key_value_size()};
    keys.push_back(Tensor::empty(model.arithmetic(), shape));
    values.push_back(Tensor::empty(model.arithmetic(), shape));
  }
}

Tensor decode_step(const LlamaModel& model, std::span<const std::int32_t> ids, KeyValueCache& cache,
                   Arena& arena) {
  const LlamaConfig& c = model.config;
  const auto T = static_cast<std::int64_t>(ids.size());
  const DType dtype = model.arithmetic();
  require(T > 0 && cache.length + T <= cache.keys[0].dim(1), "decode_step",
          "tokens, and room for them in the cache");
  const AttentionShape shape{
      1, T, cache.length + T, c.num_attention_heads, c.num_key_value_heads, c.head_dim};
  const Tensor logits = arena.take(dtype, {1, c.vocab_size});
  const ArenaScope scope(arena);
  const auto take = [&](std::int64_t columns) { return arena.take(dtype, {T, columns}); };
  const Tensor x = take(c.hidden_size), h = take(c.hidden_size), qkv = take(c.qkv_size()),
               attention = take(c.attention_size()), x_middle = take(c.hidden_size),
               gate_up = take(2 * c.intermediate_size), activated = take(c.intermediate_size),
               rstd = arena.take(dtype, {T});
  ops::embedding_forward(model.embed_tokens, Tensor::from<std::int32_t>(ids, {T}), x);
  const Tensor positions = arena.take(DType::i32, {T});
  std::iota(positions.data<std::int32_t>(), positions.data<std::int32_t>() + T,
            static_cast<std::int32_t>(cache.length));
  for (std::size_t l = 0; l < model.layers.size(); ++l) {
    const DecoderLayer& w = model.layers[l];
    ops::rms_norm_forward(x, w.input_layernorm, c.rms_norm_eps, h, rstd);
    ops::linear_forward(w.qkv, h, Tensor(), {}, arena, qkv, nullptr);
    ops::rope_forward(qkv, c.num_attention_heads + c.num_key_value_heads, c.head_dim, positions,
                      model.rope_cos, model.rope_sin);
    append(c, qkv, cache.length, cache.keys[l], cache.values[l]);
    ops::attention_cached(shape, qkv, cache.keys[l], cache.values[l], Tensor(), arena, attention);
    ops::linear_forward(w.o, attention, x, {}, arena, x_middle, nullptr);
    ops::rms_norm_forward(x_middle, w.post_attention_layernorm, c.rms_norm_eps, h, rstd);
    ops::linear_forward(w.gate_up, h, Tensor(), {}, arena, gate_up, nullptr);
    ops::swiglu_forward(gate_up, activated);
    ops::linear_forward(w.down, activated, x_middle, {}, arena, x, nullptr);
  }
  cache.length += T;
  const Tensor last = x.rows(T - 1, T), normed = h.rows(T - 1, T);
  ops::rms_norm_forward(last, model.norm, c.rms_norm_eps, normed, rstd.rows(T - 1, T));
  ops::head_forward(normed, model.lm_head, logits);
  return logits;
}

std::int32_t sample(std::span<const float> logits, const Sampling& sampling, std::uint64_t index) {
  const auto most_likely = std::max_element(logits.begin(), logits.end());
  if (sampling.temperature <= 0) return static_cast<std::int32_t>(most_likely - logits.begin());
  std::vector<std::int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) {
    return logits[static_cast<std::size_t>(a)] > logits[static_cast<std::size_t>(b)];
  });
  if (sampling.top_k > 0 && sampling.top_k < static_cast<std::int64_t>(order.size())) {
    order.resize(static_cast<std::size_t>(sampling.top_k));
  }
  std::vector<double> mass;
  for (std::int32_t id : order) {
    const double above = logits[static_cast<std::size_t>(id)] - *most_likely;
    mass.push_back(std::exp(above / sampling.temperature));
  }
  const double total = std::accumulate(mass.begin(), mass.end(), 0.0);
  double kept = 0;
  std::size_t count = 0;
  while (count < mass.size() && (count == 0 || kept <= sampling.top_p * total))
    kept += mass[count++];
  const Random random{sampling.seed, stream_of(0x73616d70)};
  double left = static_cast<double>(random.uniform(index)) * kept;
  for (std::size_t i = 0; i < count; ++i) {
    left -= mass[i];
    if (left < 0) return order[i];
  }
  return order[count - 1];
}

std::vector<std::int32_t> generate(LlamaModel& model, std::span<const std::int32_t> prompt,
                                   std::int64_t max_new_tokens, const Sampling& sampling,
                                   Arena& arena,
                                   const std::function<void(std::int32_t)>& on_token) {
  const std::int64_t total = static_cast<std::int64_t>(prompt.size()) + max_new_tokens;
  if (prompt.empty()) throw BadInput("", "prompt", "is empty, expected at least one token");
  if (total > model.config.max_position_embeddings) {
    throw BadInput("", "prompt",
                   "prompt and answer take " + std::to_string(total) +
                       " positions, the model has " +
                       std::to_string(model.config.max_position_embeddings));
  }
  model.reserve_positions(total);
  KeyValueCache cache(model, total);
  std::vector<std::int32_t> out;
  std::vector<std::int32_t> next(prompt.begin(), prompt.end());
  const auto& stop = model.config.eos_token_ids;
  while (static_cast<std::int64_t>(out.size()) < max_new_tokens) {
    const ArenaScope scope(arena);
    const Tensor logits = decode_step(model, next, cache, arena).to(DType::f32);
    const std::int32_t id = sample(logits.span<float>(), sampling, out.size());
    out.push_back(id);
    if (on_token) on_token(id);
    if (std::find(stop.begin(), stop.end(), id) != stop.end()) break;
    next = {id};
  }
  return out;
}

}  // namespace qlora
