// The whole decoder's backward pass against finite differences, in double.
#include <gtest/gtest.h>

#include <tuple>

#include "llama/adapters.h"
#include "llama/decoder.h"
#include "llama/placement.h"
#include "support/finite_difference.h"
#include "support/matcher.h"

namespace qlora {
namespace {

using testing::matches_finite_differences;
using testing::normal_tensor;
using testing::same_bytes;

LlamaConfig small_config(bool tied) {
  LlamaConfig c;
  c.hidden_size = 6;
  c.num_hidden_layers = 2;
  c.num_attention_heads = 3;
  c.num_key_value_heads = 1;
  c.head_dim = 4;
  c.intermediate_size = 5;
  c.vocab_size = 7;
  c.max_position_embeddings = 16;
  c.tie_word_embeddings = tied;
  return c;
}

Tensor ints(std::vector<std::int32_t> values, Shape shape) {
  return Tensor::from<std::int32_t>(values, std::move(shape));
}

// Gemma's norms, gate, scaled embedding, and heads that are wider than the hidden state is for
// them.
LlamaConfig gemma_config() {
  LlamaConfig c = small_config(true);
  c.model_type = "gemma";
  c.activation = GateActivation::gelu_tanh;
  c.norm_offset = 1.0;
  c.embedding_scale = 1.5;
  c.head_dim = 8;
  return c;
}

// Two rows of five, the second padded on the right, a hole among the labels.
Batch small_batch() {
  Batch b;
  b.input_ids = ints({1, 5, 2, 0, 6, 3, 3, 4, 0, 0}, {2, 5});
  b.attention_mask = ints({1, 1, 1, 1, 1, 1, 1, 1, 0, 0}, {2, 5});
  b.labels = ints({-100, 5, -100, 0, 6, -100, 3, 4, -100, -100}, {2, 5});
  b.tokens = 8;
  b.supervised = 5;
  return b;
}

// The same examples in one row, before some padding.
Batch packed_batch() {
  Batch b;
  b.input_ids = ints({1, 5, 2, 0, 6, 3, 3, 4, 0}, {1, 9});
  b.attention_mask = ints({1, 1, 1, 1, 1, 1, 1, 1, 0}, {1, 9});
  b.position_ids = ints({0, 1, 2, 3, 4, 0, 1, 2, 0}, {1, 9});
  b.labels = ints({-100, 5, -100, 0, 6, -100, 3, 4, -100}, {1, 9});
  b.tokens = 8;
  b.supervised = 5;
  return b;
}

// Random weights of order one, so that no gradient is tiny.
LlamaModel small_model(const LlamaConfig& config) {
  LlamaModel model = placed({Device::cpu, DType::f64}, random_model(config, 3));
  std::uint64_t seed = 100;
  for (auto& [name, weight] : dense_weights(model)) {
    const Tensor values = normal_tensor(weight.shape(), seed++, 0.5);
    std::copy_n(values.data<double>(), values.numel(), weight.data<double>());
  }
  model.reserve_positions(8);
  return model;
}

void randomize(const std::vector<Parameter>& parameters) {
  std::uint64_t seed = 500;
  for (const Parameter& p : parameters) {
    const Tensor values = normal_tensor(p.value.shape(), seed++, 0.5);
    std::copy_n(values.data<double>(), values.numel(), p.value.data<double>());
  }
}

std::vector<Parameter> with_lora(LlamaModel& model, double dropout) {
  LoraConfig config;
  config.r = 2;
  config.lora_alpha = 3;
  config.lora_dropout = dropout;
  config.target_modules = std::string("all-linear");
  const auto parameters = attach_lora(model, config, 1);
  randomize(parameters);
  return parameters;
}

using PackedAndConfig = std::tuple<bool, LlamaConfig>;
class AdapterGradients : public ::testing::TestWithParam<PackedAndConfig> {};

TEST_P(AdapterGradients, OfEveryAdapterWithDropout) {
  const auto& [packed, config] = GetParam();
  LlamaModel model = small_model(config);
  const auto parameters = with_lora(model, 0.25);
  const Batch batch = packed ? packed_batch() : small_batch();
  Arena arena;
  const TrainingPass pass{{true, 4, 9}, ActivationPolicy::keep, 0.3};
  loss_backward(model, batch, pass, arena);
  const auto f = [&] {
    // The loss alone, of the same dropout masks: a pass whose gradients go nowhere.
    LlamaModel copy = model;
    copy.for_each_projection([](LinearGroup&, Projection& p) {
      for (Adapter& a : p.adapters) {
        a.grad_A = Tensor::zeros(DType::f64, a.A.shape());
        a.grad_B = Tensor::zeros(DType::f64, a.B.shape());
      }
    });
    return 0.3 * loss_backward(copy, batch, pass, arena);
  };
  ASSERT_EQ(parameters.size(), 2u * 2u * 7u);
  for (const Parameter& p : parameters) {
    EXPECT_TRUE(matches_finite_differences(f, p.value, p.grad)) << p.name;
  }
}

INSTANTIATE_TEST_SUITE_P(PackedOrNot, AdapterGradients,
                         ::testing::Combine(::testing::Bool(),
                                            ::testing::Values(small_config(true), gemma_config())),
                         [](const auto& one) {
                           return std::get<1>(one.param).model_type +
                                  (std::get<0>(one.param) ? "_packed" : "");
                         });

TEST(DecoderGradients, OfEveryWeightInFullTraining) {
  for (const LlamaConfig& config : {small_config(true), small_config(false), gemma_config()}) {
    const bool tied = config.tie_word_embeddings;
    LlamaModel model = small_model(config);
    const auto parameters = enable_full_training(model);
    const Batch batch = small_batch();
    Arena arena;
    loss_backward(model, batch, {{}, ActivationPolicy::keep, 0.7}, arena);
    const auto f = [&] { return 0.7 * loss_forward(model, batch, arena); };
    ASSERT_EQ(parameters.size(), tied ? 2u + 2u * 9u : 3u + 2u * 9u);
    for (const Parameter& p : parameters) {
      EXPECT_TRUE(matches_finite_differences(f, p.value, p.grad)) << p.name;
    }
  }
}

TEST(DecoderGradients, WhatIsKeptChangesNoBit) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    LlamaModel base = small_model(small_config(true));
    with_lora(base, 0.25);
    std::vector<std::vector<Parameter>> results;
    std::vector<double> losses;
    for (const ActivationPolicy policy :
         {ActivationPolicy::keep, ActivationPolicy::lean, ActivationPolicy::checkpoint,
          ActivationPolicy::offload}) {
      const LlamaModel model = placed({Device::cpu, dtype}, base);
      Arena arena;
      losses.push_back(loss_backward(model, small_batch(), {{true, 4, 9}, policy, 1.0}, arena));
      results.push_back(adapter_parameters(model));
    }
    for (std::size_t other = 1; other < results.size(); ++other) {
      EXPECT_EQ(losses[0], losses[other]);
      for (std::size_t i = 0; i < results[0].size(); ++i) {
        EXPECT_TRUE(same_bytes(results[0][i].grad, results[other][i].grad)) << results[0][i].name;
      }
    }
  }
}

TEST(DecoderGradients, OfAIsZeroAtTheFirstStep) {
  LlamaModel model = small_model(small_config(true));
  LoraConfig config;
  config.target_modules = std::string("all-linear");
  Arena arena;
  for (const Parameter& p : attach_lora(model, config, 1)) {
    loss_backward(model, small_batch(), {}, arena);
    const bool is_A = p.name.find("lora_A") != std::string::npos;
    double largest = 0;
    for (double g : p.grad.span<double>()) largest = std::max(largest, std::abs(g));
    EXPECT_EQ(largest == 0, is_A) << p.name;
  }
}

}  // namespace
}  // namespace qlora
