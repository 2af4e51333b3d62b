#include "llama/generation.h"

#include <algorithm>
#include <memory>
#include <numeric>

#include "core/error.h"
#include "ops/device_memory.h"
#include "ops/ops.h"
#include "ops/recording.h"

namespace qlora {
namespace {

// New tokens behind what a cache holds. All lies on the model's device.
struct Step {
  Tensor ids;            // (T) I32
  Tensor positions;      // (T) I32
  std::int64_t S = 0;    // keys and values when the new ones are in the cache, or
  bool at_most = false;  // whether S bounds their number, which the last position tells
};

// Columns behind the inputs of all layers' groups, for their adapters.
struct Rooms {
  std::int64_t h = 0, attention = 0, activated = 0;
};

Rooms rooms_of(const LlamaModel& model) {
  Rooms room;
  for (const DecoderLayer& layer : model.layers) {
    room.h = std::max({room.h, layer.qkv.room(), layer.gate_up.room()});
    room.attention = std::max(room.attention, layer.o.room());
    room.activated = std::max(room.activated, layer.down.room());
  }
  return room;
}

// logits (1,V) after the last of the new tokens.
void decode(const LlamaModel& model, const Step& step, const KeyValueCache& cache, Arena& arena,
            const Tensor& logits) {
  const ArenaScope scope(arena);
  const LlamaConfig& c = model.config;
  const std::int64_t T = step.ids.numel();
  const DType dtype = model.arithmetic();
  const AttentionShape shape{1,         T, step.S, c.num_attention_heads, c.num_key_value_heads,
                             c.head_dim};
  const Tensor counted = step.at_most ? step.positions : Tensor();
  const auto take = [&](std::int64_t columns) { return arena.take(dtype, {T, columns}); };
  const Rooms room = rooms_of(model);
  const Tensor x = take(c.hidden_size), h = take(c.hidden_size + room.h), qkv = take(c.qkv_size()),
               attention = take(c.attention_size() + room.attention),
               x_middle = take(c.hidden_size), gate_up = take(2 * c.intermediate_size),
               activated = take(c.intermediate_size + room.activated),
               rstd = arena.take(ops::statistics_of(dtype), {T});
  ops::embedding_forward(model.embed_tokens, step.ids, x, c.embedding_scale);
  for (std::size_t l = 0; l < model.layers.size(); ++l) {
    const DecoderLayer& w = model.layers[l];
    ops::rms_norm_forward(x, w.input_layernorm, c.rms_norm_eps, h, rstd, c.norm_offset);
    ops::linear_forward(w.qkv, h, Tensor(), {}, arena, qkv, nullptr);
    ops::rope_forward(qkv, c.num_attention_heads + c.num_key_value_heads, c.head_dim,
                      step.positions, model.rope_cos, model.rope_sin);
    ops::append_to_cache(shape, qkv, step.positions, cache.keys[l], cache.values[l]);
    ops::attention_cached(shape, qkv, cache.keys[l], cache.values[l], counted, arena, attention);
    ops::linear_forward(w.o, attention, x, {}, arena, x_middle, nullptr);
    ops::rms_norm_forward(x_middle, w.post_attention_layernorm, c.rms_norm_eps, h, rstd,
                          c.norm_offset);
    ops::linear_forward(w.gate_up, h, Tensor(), {}, arena, gate_up, nullptr);
    ops::swiglu_forward(gate_up, activated, c.activation);
    ops::linear_forward(w.down, activated, x_middle, {}, arena, x, nullptr);
  }
  const Tensor last = x.rows(T - 1, T), normed = x_middle.rows(T - 1, T);
  ops::rms_norm_forward(last, model.norm, c.rms_norm_eps, normed, rstd.rows(T - 1, T),
                        c.norm_offset);
  ops::head_forward(normed, model.lm_head, logits);
}

// decode() of tokens that the host knows.
void decode_ids(const LlamaModel& model, std::span<const std::int32_t> ids, KeyValueCache& cache,
                Arena& arena, const Tensor& logits) {
  const auto T = static_cast<std::int64_t>(ids.size());
  require(T > 0 && cache.length + T <= cache.keys[0].dim(1), "decode_step",
          "tokens, and room for them in the cache");
  require(model.rope_cos && cache.length + T <= model.rope_cos.dim(0), "decode_step",
          "rotary tables for every position (reserve_positions)");
  for (const std::int32_t id : ids) {
    require(id >= 0 && id < model.config.vocab_size, "decode_step", "ids below V");
  }
  const ArenaScope scope(arena);
  std::vector<std::int32_t> positions(ids.size());
  std::iota(positions.begin(), positions.end(), static_cast<std::int32_t>(cache.length));
  const auto there = [&](std::span<const std::int32_t> numbers) {
    return ops::uploaded(Tensor::from<std::int32_t>(numbers, {T}), arena);
  };
  const Step step{there(ids), there(positions), cache.length + T, false};
  decode(model, step, cache, arena, logits);
  cache.length += T;
}

}  // namespace

KeyValueCache::KeyValueCache(const LlamaModel& model, std::int64_t capacity) {
  for (std::size_t l = 0; l < model.layers.size(); ++l) {
    const Device device = model.device();
    const Shape shape{1, capacity, model.config.key_value_size()};
    keys.push_back(ops::empty_on(device, model.arithmetic(), shape));
    values.push_back(ops::empty_on(device, model.arithmetic(), shape));
  }
}

Tensor decode_step(const LlamaModel& model, std::span<const std::int32_t> ids, KeyValueCache& cache,
                   Arena& arena) {
  const Tensor logits = arena.take(model.arithmetic(), {1, model.config.vocab_size});
  decode_ids(model, ids, cache, arena, logits);
  return logits;
}

namespace {

// Where the tokens of an answer come from, one after the other: the host asks for some, and gets
// them later.
class Tokens {
 public:
  Tokens(const LlamaModel& model, const Sampling& sampling, KeyValueCache& cache, Arena& arena)
      : model_(model),
        sampling_(sampling),
        cache_(cache),
        arena_(arena),
        logits_(arena.take(model.arithmetic(), {1, model.config.vocab_size})) {}
  virtual ~Tokens() = default;

  // How many may be asked for before the first of them is fetched.
  virtual std::size_t ahead() const { return 1; }
  // Asks for the token behind the prompt.
  virtual void ask_first(std::span<const std::int32_t> prompt) {
    decode_ids(model_, prompt, cache_, arena_, logits_);
  }
  // Asks for the token behind the last one.
  virtual void ask_next() { decode_ids(model_, std::span(&last_, 1), cache_, arena_, logits_); }
  // The oldest token that was asked for.
  virtual std::int32_t fetch() {
    const Tensor logits = ops::on(Device::cpu, logits_).to(DType::f32);
    return last_ = sample(logits.span<float>(), sampling_, index_++);
  }

 protected:
  const LlamaModel& model_;
  const Sampling& sampling_;
  KeyValueCache& cache_;
  Arena& arena_;
  const Tensor logits_;

 private:
  std::int32_t last_ = 0;
  std::uint64_t index_ = 0;
};

// On a GPU the last token and its position lie in device memory, so that the work of one token is
// that of every other; greedy choices never leave it but to be shown.
class TokensOfGpu : public Tokens {
 public:
  TokensOfGpu(const LlamaModel& model, const Sampling& sampling, KeyValueCache& cache, Arena& arena)
      : Tokens(model, sampling, cache, arena),
        greedy_(sampling.temperature <= 0),
        id_(arena.take(DType::i32, {1})),
        position_(arena.take(DType::i32, {1})),
        chosen_(kAhead) {}

  std::size_t ahead() const override { return greedy_ ? kAhead : 1; }

  void ask_first(std::span<const std::int32_t> prompt) override {
    Tokens::ask_first(prompt);
    const auto length = static_cast<std::int32_t>(cache_.length);
    ops::copy(Tensor::from(std::span(&length, 1), {1}), position_);
    if (!greedy_) return;
    ops::argmax(logits_, id_);
    chosen_.post(id_);
  }

  void ask_next() override {
    if (!has_run_) {
      step();  // makes what is made once, which must not be recorded
      has_run_ = true;
    } else {
      if (!recording_) recording_.emplace([this] { step(); });
      recording_->replay();
    }
    ++cache_.length;
    if (greedy_) chosen_.post(id_);
  }

  std::int32_t fetch() override {
    if (greedy_) return chosen_.take();
    const std::int32_t id = Tokens::fetch();
    ops::copy(Tensor::from(std::span(&id, 1), {1}), id_);
    return id;
  }

 private:
  static constexpr std::size_t kAhead = 3;

  void step() {
    decode(model_, {id_, position_, cache_.keys[0].dim(1), true}, cache_, arena_, logits_);
    ops::increment(position_);
    if (greedy_) ops::argmax(logits_, id_);
  }

  const bool greedy_;
  const Tensor id_, position_;  // (1) I32
  bool has_run_ = false;
  std::optional<ops::Recording> recording_;
  ops::Readback chosen_;
};

std::unique_ptr<Tokens> tokens_of(const LlamaModel& model, const Sampling& sampling,
                                  KeyValueCache& cache, Arena& arena) {
  if (model.device() == Device::cuda) {
    return std::make_unique<TokensOfGpu>(model, sampling, cache, arena);
  }
  return std::make_unique<Tokens>(model, sampling, cache, arena);
}

// Positions that `before` tokens, a prompt and its answer take.
std::int64_t positions_of(const LlamaModel& model, std::int64_t before,
                          std::span<const std::int32_t> prompt, std::int64_t max_new_tokens) {
  const std::int64_t total = before + static_cast<std::int64_t>(prompt.size()) + max_new_tokens;
  if (prompt.empty()) throw BadInput("", "prompt", "is empty, expected at least one token");
  if (total > model.config.max_position_embeddings) {
    throw BadInput("", "prompt",
                   "prompt and answer take " + std::to_string(total) +
                       " positions, the model has " +
                       std::to_string(model.config.max_position_embeddings));
  }
  return total;
}

}  // namespace

std::vector<std::int32_t> generate(LlamaModel& model, std::span<const std::int32_t> prompt,
                                   std::int64_t max_new_tokens, const Sampling& sampling,
                                   Arena& arena,
                                   const std::function<void(std::int32_t)>& on_token) {
  KeyValueCache cache(model, positions_of(model, 0, prompt, max_new_tokens));
  return generate(model, prompt, max_new_tokens, sampling, cache, arena, on_token);
}

std::vector<std::int32_t> generate(LlamaModel& model, std::span<const std::int32_t> prompt,
                                   std::int64_t max_new_tokens, const Sampling& sampling,
                                   KeyValueCache& cache, Arena& arena,
                                   const std::function<void(std::int32_t)>& on_token) {
  const std::int64_t before = cache.length;
  const std::int64_t total = positions_of(model, before, prompt, max_new_tokens);
  require(total <= cache.keys[0].dim(1), "generate", "a cache with room for prompt and answer");
  model.reserve_positions(total);
  const ArenaScope scope(arena);
  const std::unique_ptr<Tokens> tokens = tokens_of(model, sampling, cache, arena);
  const auto most = static_cast<std::size_t>(max_new_tokens);
  const auto& stop = model.config.eos_token_ids;
  std::vector<std::int32_t> out;
  std::size_t asked = 0;
  while (out.size() < most) {
    for (; asked < std::min(most, out.size() + tokens->ahead()); ++asked) {
      if (asked == 0) {
        tokens->ask_first(prompt);
      } else {
        tokens->ask_next();
      }
    }
    out.push_back(tokens->fetch());
    if (on_token) on_token(out.back());
    if (std::find(stop.begin(), stop.end(), out.back()) != stop.end()) break;
  }
  // A GPU may have run ahead of a stop.
  cache.length = before + static_cast<std::int64_t>(prompt.size() + out.size()) - 1;
  return out;
}

}  // namespace qlora
