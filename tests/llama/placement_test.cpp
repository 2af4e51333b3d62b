// Models in another place or arithmetic, and weights that no file holds.
#include "llama/placement.h"

#include <gtest/gtest.h>

#include <cmath>

#include "llama/adapters.h"
#include "llama/load.h"
#include "support/matcher.h"

namespace qlora {
namespace {

using testing::same_bytes;

LlamaConfig small_config(bool tied) {
  LlamaConfig c;
  c.hidden_size = 64;
  c.num_hidden_layers = 2;
  c.num_attention_heads = 4;
  c.num_key_value_heads = 2;
  c.head_dim = 16;
  c.intermediate_size = 128;
  c.vocab_size = 96;
  c.tie_word_embeddings = tied;
  return c;
}

LlamaModel random_weights(bool tied, std::uint64_t seed, const LoadOptions& options = {}) {
  return load_model(small_config(tied), RandomWeights(Device::cpu, seed), options);
}

TEST(Placement, TiedWeightsStayOneMemory) {
  for (const bool tied : {true, false}) {
    const LlamaModel model = placed({Device::cpu, DType::f64}, random_weights(tied, 1));
    EXPECT_EQ(model.arithmetic(), DType::f64);
    EXPECT_EQ(model.lm_head.raw() == model.embed_tokens.raw(), tied);
  }
}

TEST(Placement, IsACopyWhoseAdaptersAreItsOwn) {
  LlamaModel model = random_weights(true, 2);
  LoraConfig lora;
  lora.target_modules = std::string("all-linear");
  const auto before = attach_lora(model, lora, 3);
  const LlamaModel copy = placed({Device::cpu, DType::f32}, model);
  const auto after = adapter_parameters(copy);
  ASSERT_EQ(after.size(), before.size());
  for (std::size_t i = 0; i < after.size(); ++i) {
    EXPECT_TRUE(same_bytes(after[i].value, before[i].value)) << after[i].name;
    EXPECT_NE(after[i].value.raw(), before[i].value.raw()) << after[i].name;
    EXPECT_NE(after[i].grad.raw(), before[i].grad.raw()) << after[i].name;
  }
  EXPECT_EQ(adapter_dtype(DType::bf16), DType::f32);
  EXPECT_EQ(adapter_dtype(DType::f64), DType::f64);
}

// N(0, 0.02²): of 6,144 numbers the mean is within five of its standard deviations, the root mean
// square within five of its own, 0.02 / sqrt(2 n).
TEST(RandomWeights, AreNormalAndDependOnNameAndSeed) {
  const LlamaModel model = random_weights(false, 4);
  const Tensor& table = model.embed_tokens;
  double sum = 0, squares = 0;
  for (const float x : table.span<float>()) {
    sum += x;
    squares += static_cast<double>(x) * x;
  }
  const auto n = static_cast<double>(table.numel());
  EXPECT_NEAR(sum / n, 0.0, 5 * 0.02 / std::sqrt(n));
  EXPECT_NEAR(std::sqrt(squares / n), 0.02, 5 * 0.02 / std::sqrt(2 * n));
  for (const float x : model.norm.span<float>()) EXPECT_EQ(x, 1.0f);
  EXPECT_TRUE(same_bytes(table, random_weights(false, 4).embed_tokens));
  EXPECT_FALSE(same_bytes(table, random_weights(false, 5).embed_tokens));
  EXPECT_FALSE(same_bytes(table, model.lm_head));
}

TEST(RandomWeights, AreQuantizedAsTheyAreMade) {
  LoadOptions options;
  options.quantize = QuantType::nf4;
  options.double_quant = true;
  std::vector<std::size_t> layers;
  options.on_layer = [&](std::size_t done, std::size_t all) {
    layers.push_back(done);
    EXPECT_EQ(all, 2u);
  };
  LlamaModel model = random_weights(true, 6, options);
  EXPECT_EQ(layers, (std::vector<std::size_t>{1, 2}));
  model.for_each_projection([&](const LinearGroup& group, const Projection& p) {
    EXPECT_FALSE(group.weight) << p.name;
    ASSERT_TRUE(p.quantized) << p.name;
    EXPECT_EQ(p.quantized->shape, (Shape{p.N, group.K}));
    EXPECT_TRUE(p.quantized->nested());
  });
}

}  // namespace
}  // namespace qlora
