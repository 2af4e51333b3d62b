// Generation on the GPU beside the CPU: the same tokens from the same model, prompt and seed.
#include <algorithm>

#include "core/random.h"
#include "cuda/twin.h"
#include "llama/adapters.h"
#include "llama/generation.h"
#include "ops/ops.h"
#include "ops/quantization.h"

namespace qlora {
namespace {

using namespace testing;
using Ids = std::vector<std::int32_t>;

constexpr std::int64_t kNew = 24;

// Layers of grouped-query attention, NF4 with double quantization, an adapter on every projection.
// Weights are larger than a fresh model's, so that logits differ by more than rounding.
LlamaModel model_of(std::int64_t head_dim, bool with_adapters) {
  LlamaConfig c;
  c.hidden_size = 96;
  c.num_hidden_layers = 3;
  c.num_attention_heads = 4;
  c.num_key_value_heads = 2;
  c.head_dim = head_dim;
  c.intermediate_size = 160;
  c.vocab_size = 211;
  c.max_position_embeddings = 128;
  LlamaModel model = random_model(c, 11);
  const auto enlarge = [](const Tensor& t, float factor) {
    for (float& x : t.span<float>()) x *= factor;
  };
  enlarge(model.embed_tokens, 50.0f);
  enlarge(model.lm_head, 50.0f);
  for (DecoderLayer& layer : model.layers) {
    for (LinearGroup* g : {&layer.qkv, &layer.o, &layer.gate_up, &layer.down}) {
      enlarge(g->weight, 5.0f);
    }
  }
  quantize_base(model, QuantType::nf4, true, DType::f32);
  if (with_adapters) {
    LoraConfig lora;
    lora.r = 4;
    lora.target_modules = std::string("all-linear");
    std::uint64_t stream = 1;
    for (const Parameter& p : attach_lora(model, lora, 5)) {
      const Random random{17, stream++};  // B too
      for (std::int64_t i = 0; i < p.value.numel(); ++i) {
        p.value.data<float>()[i] = 0.1f * random.normal(static_cast<std::uint64_t>(i));
      }
    }
  }
  model.reserve_positions(1);
  return model;
}

// The model with its weights on the GPU, dense ones in a dtype.
LlamaModel on_gpu(const LlamaModel& model, DType dtype) {
  const auto moved = [&](const Tensor& t) { return t ? to_gpu(t.to(dtype)) : t; };
  LlamaModel there = model;
  there.embed_tokens = moved(model.embed_tokens);
  there.lm_head = moved(model.lm_head);
  there.norm = moved(model.norm);
  there.rope_cos = to_gpu(model.rope_cos);
  there.rope_sin = to_gpu(model.rope_sin);
  for (DecoderLayer& layer : there.layers) {
    layer.input_layernorm = moved(layer.input_layernorm);
    layer.post_attention_layernorm = moved(layer.post_attention_layernorm);
    for (LinearGroup* g : {&layer.qkv, &layer.o, &layer.gate_up, &layer.down}) {
      g->weight = moved(g->weight);
      for (Projection& p : g->parts) {
        if (p.quantized) p.quantized = ops::on(Device::cuda, *p.quantized);
        for (Adapter& a : p.adapters) {
          a.A = to_gpu(a.A);
          a.B = to_gpu(a.B);
        }
      }
    }
  }
  return there;
}

Ids tokens(LlamaModel& model, const Ids& prompt, const Sampling& sampling, std::int64_t count) {
  Arena arena = ops::arena_on(model.embed_tokens.device());
  Ids streamed;
  const Ids all = generate(model, prompt, count, sampling, arena,
                           [&](std::int32_t id) { streamed.push_back(id); });
  EXPECT_EQ(streamed, all);
  return all;
}

// One call a token, without a recording.
Ids tokens_step_by_step(LlamaModel& model, const Ids& prompt, std::int64_t count) {
  const Device device = model.embed_tokens.device();
  Arena arena = ops::arena_on(device);
  const auto total = static_cast<std::int64_t>(prompt.size()) + count;
  model.reserve_positions(total);
  KeyValueCache cache(model, total);
  const Tensor id = ops::empty_on(device, DType::i32, {1});
  Ids out, next = prompt;
  for (std::int64_t i = 0; i < count; ++i) {
    const ArenaScope scope(arena);
    ops::argmax(decode_step(model, next, cache, arena), id);
    next = {ops::on(Device::cpu, id).data<std::int32_t>()[0]};
    out.push_back(next[0]);
  }
  return out;
}

// The distance of the two largest logits, at its smallest over an answer of the CPU.
float smallest_gap(LlamaModel& model, const Ids& prompt, const Ids& answer) {
  Arena arena;
  KeyValueCache cache(model, static_cast<std::int64_t>(prompt.size() + answer.size()));
  Ids next = prompt;
  float gap = 1e30f;
  for (const std::int32_t id : answer) {
    const ArenaScope scope(arena);
    const Tensor logits = decode_step(model, next, cache, arena).clone();
    float* data = logits.data<float>();
    std::partial_sort(data, data + 2, data + logits.numel(), std::greater<>());
    gap = std::min(gap, data[0] - data[1]);
    next = {id};
  }
  return gap;
}

const std::vector<Ids> kPrompts{{5}, {1, 200, 17, 33, 8, 90, 41, 2, 2, 150, 7}};

// In float32 every product and sum of the model is rounded to 24 bits: logits, which are about 10
// here, agree to 1e-3 by far. The CPU's choices are clearer than that.
TEST(CudaGeneration, GreedyTokensAreTheCpus) {
  SKIP_WITHOUT_GPU();
  for (const std::int64_t head_dim :
       {24, 32}) {  // the kernel for any head, and that for few queries
    for (const bool with_adapters : {false, true}) {
      LlamaModel host = model_of(head_dim, with_adapters);
      LlamaModel device = on_gpu(host, DType::f32);
      for (const Ids& prompt : kPrompts) {
        const Ids expected = tokens(host, prompt, {}, kNew);
        ASSERT_GT(smallest_gap(host, prompt, expected), 4e-3f);
        EXPECT_EQ(tokens(device, prompt, {}, kNew), expected) << head_dim << with_adapters;
        EXPECT_EQ(tokens_step_by_step(device, prompt, kNew), expected) << head_dim;
      }
    }
  }
}

TEST(CudaGeneration, FewTokens) {
  SKIP_WITHOUT_GPU();
  LlamaModel host = model_of(32, true), device = on_gpu(host, DType::f32);
  for (const std::int64_t count : {0, 1, 2, 3, 4}) {
    EXPECT_EQ(tokens(device, kPrompts[1], {}, count), tokens(host, kPrompts[1], {}, count));
  }
}

TEST(CudaGeneration, EndsAtEos) {
  SKIP_WITHOUT_GPU();
  LlamaModel host = model_of(32, true);
  const Ids all = tokens(host, kPrompts[1], {}, kNew);
  for (const std::size_t end : {std::size_t{0}, std::size_t{4}, all.size() - 1}) {
    host.config.eos_token_ids = {all[end]};
    LlamaModel device = on_gpu(host, DType::f32);
    const Ids until(all.begin(), std::find(all.begin(), all.end(), all[end]) + 1);
    EXPECT_EQ(tokens(device, kPrompts[1], {}, kNew), until);
    // and goes on as if nothing had been computed ahead
    EXPECT_EQ(tokens(device, kPrompts[1], {}, kNew), until);
  }
}

TEST(CudaGeneration, DrawsAreTheCpus) {
  SKIP_WITHOUT_GPU();
  LlamaModel host = model_of(32, true), device = on_gpu(host, DType::f32);
  Sampling sampling;
  sampling.temperature = 3.0;
  sampling.top_k = 40;
  sampling.seed = 3;
  const Ids expected = tokens(host, kPrompts[1], sampling, kNew);
  EXPECT_NE(expected, tokens(host, kPrompts[1], {}, kNew));
  EXPECT_EQ(tokens(device, kPrompts[1], sampling, kNew), expected);
}

// In 16 bits there is no twin, but runs agree, with and without the recording: so few keys are not
// split, however many there is room for.
TEST(CudaGeneration, SixteenBitsGiveTheSameTokensEveryTime) {
  SKIP_WITHOUT_GPU();
  for (const DType dtype : {DType::bf16, DType::f16}) {
    LlamaModel device = on_gpu(model_of(32, true), dtype);
    const Ids first = tokens(device, kPrompts[1], {}, kNew);
    EXPECT_EQ(tokens(device, kPrompts[1], {}, kNew), first);
    EXPECT_EQ(tokens_step_by_step(device, kPrompts[1], kNew), first);
  }
}

}  // namespace
}  // namespace qlora
