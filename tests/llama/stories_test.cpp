// stories260K: a real trained model, its published story and its reference numbers.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>

#include "core/files.h"
#include "core/json.h"
#include "llama/adapters.h"
#include "llama/decoder.h"
#include "llama/generation.h"
#include "llama/load.h"
#include "llama/placement.h"
#include "support/golden.h"
#include "support/matcher.h"
#include "text/tokenizer.h"

namespace qlora {
namespace {

using testing::assets;
using testing::is_close;

std::vector<std::int32_t> ids_of(const Json& array) {
  std::vector<std::int32_t> ids;
  for (const Json& id : array.as_array()) ids.push_back(static_cast<std::int32_t>(id.as_integer()));
  return ids;
}

std::string folder() {
  return assets() + "/stories260K/hf";
}

LlamaModel stories() {
  LlamaModel model = load_model(folder());
  model.config.eos_token_ids.clear();  // the published run goes on to its full length
  return model;
}

// One row of ids, every position supervised.
Batch batch_of(std::span<const std::int32_t> ids) {
  const auto T = static_cast<std::int64_t>(ids.size());
  Batch b;
  b.input_ids = Tensor::from<std::int32_t>(ids, {1, T});
  b.labels = b.input_ids;
  b.tokens = T;
  b.supervised = T - 1;
  return b;
}

double mean_loss(LlamaModel& model, std::span<const std::int32_t> ids) {
  Arena arena;
  model.reserve_positions(static_cast<std::int64_t>(ids.size()));
  const Batch batch = batch_of(ids);
  return loss_forward(model, batch, arena) / static_cast<double>(batch.supervised);
}

TEST(Stories260K, GreedyStoryTokenForToken) {
  SKIP_WITHOUT_ASSETS();
  LlamaModel model = stories();
  const Json golden = Json::read(assets() + "/stories260K/golden.json");
  const std::vector<std::int32_t> expected = ids_of(golden.at("greedy_from_bos_200"));
  Arena arena;
  const std::int32_t bos = 1;
  const auto ids = generate(model, std::span(&bos, 1), 200, {}, arena);
  EXPECT_EQ(ids, expected);
  // the words that the model card prints
  const std::string text = Tokenizer::load(folder()).decode(ids);
  const std::string card = read_file(assets() + "/stories260K/stories260K.md");
  const std::size_t begin = card.find("Once upon a time");
  ASSERT_NE(begin, std::string::npos);
  const std::string published = card.substr(begin, card.find("```", begin) - begin);
  const std::size_t length = std::min(text.size(), published.size()) - 1;
  EXPECT_GT(length, 300u);
  EXPECT_EQ(text.substr(0, length), published.substr(0, length));
}

// The reference is float64, printed to seven digits; float32 logits of up to 15 are off by some
// 1e-5 after five layers: 1e-4 leaves a factor of ten, as for the golden models.
TEST(Stories260K, LogitsAndLossOfPrompts) {
  SKIP_WITHOUT_ASSETS();
  LlamaModel model = stories();
  const Json golden = Json::read(assets() + "/stories260K/golden.json");
  const Tokenizer tokenizer = Tokenizer::load(folder());
  for (const Json& c : golden.at("cases").as_array()) {
    const std::vector<std::int32_t> ids = ids_of(c.at("input_ids"));
    EXPECT_EQ(tokenizer.encode(c.at("prompt").as_string()), ids);
    model.reserve_positions(64);
    Arena arena;
    KeyValueCache cache(model, 64);
    const Tensor logits = decode_step(model, ids, cache, arena);
    const auto& last = c.at("last_logits").as_array();
    ASSERT_EQ(static_cast<std::int64_t>(last.size()), logits.numel());
    for (std::size_t v = 0; v < last.size(); ++v) {
      EXPECT_TRUE(is_close(logits.data<float>()[v], last[v].as_number(), 1e-4)) << v;
    }
    EXPECT_TRUE(is_close(mean_loss(model, ids), c.at("mean_nll").as_number(), 1e-5));
    const auto expected = ids_of(c.at("greedy_next_32"));
    EXPECT_EQ(generate(model, ids, 32, {}, arena), expected);
  }
}

// Token by token through the cache, or all at once: one decoder, one distribution. The products'
// sums are ordered differently for one row and for many: 1e-4 as above.
TEST(Stories260K, CacheAndWholeForwardAgree) {
  SKIP_WITHOUT_ASSETS();
  LlamaModel model = stories();
  const auto ids =
      ids_of(Json::read(assets() + "/stories260K/golden.json").at("greedy_from_bos_200"));
  const std::span<const std::int32_t> some = std::span(ids).first(40);
  model.reserve_positions(64);
  Arena arena;
  KeyValueCache one_by_one(model, 64), at_once(model, 64);
  Tensor a;
  for (std::int32_t id : some) a = decode_step(model, std::span(&id, 1), one_by_one, arena);
  const Tensor b = decode_step(model, some, at_once, arena);
  EXPECT_TRUE(testing::all_close(a, b, 1e-4));
}

// What four bits cost a real model. Round-to-nearest of weights moves the loss by little: a
// perplexity that fell, or rose by more than a third, would be a mistake in the program.
TEST(Stories260K, PerplexitiesSideBySide) {
  SKIP_WITHOUT_ASSETS();
  const std::string text = read_file(assets() + "/tokenizers/bpe_training/tinystories_sample.txt");
  const Tokenizer tokenizer = Tokenizer::load(folder());
  const std::vector<std::int32_t> all = tokenizer.encode(text);
  const auto perplexity = [&](LlamaModel model) {
    double sum = 0;
    int blocks = 0;
    for (std::size_t at = 0; at + 256 <= all.size(); at += 256, ++blocks) {
      sum += mean_loss(model, std::span(all).subspan(at, 256));
    }
    return std::exp(sum / blocks);
  };
  LlamaModel rounded = stories();
  for (auto& [name, weight] : dense_weights(rounded)) {
    const Tensor bf16 = weight.to(DType::bf16).to(DType::f32);
    std::copy_n(bf16.data<float>(), bf16.numel(), weight.data<float>());
  }
  const auto quantized = [&](bool double_quant) {
    LlamaModel model = placed({Device::cpu, DType::f32}, rounded);
    quantize_base(model, QuantType::nf4, double_quant, DType::bf16);
    return perplexity(model);
  };
  const double bf16 = perplexity(rounded), nf4 = quantized(false), nf4_dq = quantized(true);
  std::printf(
      "stories260K perplexity on %zu tokens: bf16 %.3f, NF4 %.3f, NF4 + double quantization "
      "%.3f\n",
      all.size() / 256 * 256, bf16, nf4, nf4_dq);
  EXPECT_GT(nf4, bf16);
  EXPECT_LT(nf4, bf16 * 4 / 3);
  EXPECT_TRUE(is_close(nf4_dq, nf4, 0, 0.05));
}

}  // namespace
}  // namespace qlora
