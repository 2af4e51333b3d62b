// A decoder that trains on what quantizing makes of its weights.
#include "llama/fake_quantization.h"

#include <gtest/gtest.h>

#include "llama/decoder.h"
#include "llama/placement.h"
#include "ops/ops.h"
#include "support/finite_difference.h"
#include "support/matcher.h"

namespace qlora {
namespace {

using testing::same_bytes;

LlamaModel small_model() {
  LlamaConfig c;
  c.hidden_size = 12;
  c.num_hidden_layers = 2;
  c.num_attention_heads = 3;
  c.num_key_value_heads = 1;
  c.head_dim = 4;
  c.intermediate_size = 10;
  c.vocab_size = 7;
  c.max_position_embeddings = 16;
  c.tie_word_embeddings = true;
  LlamaModel model = placed({Device::cpu, DType::f64}, random_model(c, 3));
  std::uint64_t seed = 100;
  for (auto& [name, weight] : dense_weights(model)) {
    const Tensor values = testing::normal_tensor(weight.shape(), seed++, 0.5);
    std::copy_n(values.data<double>(), values.numel(), weight.data<double>());
  }
  model.reserve_positions(8);
  return model;
}

Batch small_batch() {
  const auto ints = [](std::vector<std::int32_t> values) {
    return Tensor::from<std::int32_t>(values, {2, 5});
  };
  Batch b;
  b.input_ids = ints({1, 5, 2, 0, 6, 3, 3, 4, 0, 0});
  b.attention_mask = ints({1, 1, 1, 1, 1, 1, 1, 1, 0, 0});
  b.labels = ints({-100, 5, -100, 0, 6, -100, 3, 4, -100, -100});
  b.tokens = 8;
  b.supervised = 5;
  return b;
}

bool is_linear(const std::string& name) {
  return name.find("_proj") != std::string::npos;
}

const std::vector<FakeFormat> kFormats{{FakeLevels::nf4},
                                       {FakeLevels::integers, 2, 64},
                                       {FakeLevels::integers, 4, kRangePerRow},
                                       {FakeLevels::integers, 8, kRangePerTensor}};

struct Pass {
  std::vector<Parameter> parameters;
  double loss;
  Pass(LlamaModel& model, ActivationPolicy policy) : parameters(enable_full_training(model)) {
    Arena arena;
    loss = loss_backward(model, small_batch(), {{}, policy, 0.7}, arena);
  }
};

// A product of one projection ends its tiles elsewhere than one of a group of them: sums of ten
// terms (tokens) are added in two orders, each off by 10 · 2^-53 of their magnitudes, which
// together are a few times the tensor's largest element.
constexpr double kOrder = 1e-13;

::testing::AssertionResult same_gradient(const Parameter& p, const Tensor& expected) {
  const bool grouped = is_linear(p.name) && !p.name.ends_with("o_proj.weight") &&
                       !p.name.ends_with("down_proj.weight");
  return grouped ? testing::close_to_largest(p.grad, expected, kOrder)
                 : same_bytes(p.grad, expected);
}

// All gradients of the decoder are those of one whose weights were replaced: with clip = 1 the
// estimator changes nothing.
TEST(FakeQuantizedDecoder, GradientsAreThoseOfAModelOfTheQuantizedWeights) {
  for (const FakeFormat& format : kFormats) {
    for (const auto policy : {ActivationPolicy::keep, ActivationPolicy::checkpoint}) {
      LlamaModel model = small_model(), other = small_model();
      const LlamaModel untouched = small_model();
      fake_quantize(model, format);
      fake_quantize(other, format);
      round_to_fake_formats(other);
      other.for_each_projection(
          [](LinearGroup&, Projection& p) { EXPECT_FALSE(p.fake.has_value()); });
      const Pass pass(model, policy), expected(other, policy);
      EXPECT_EQ(pass.loss, expected.loss);
      const auto before = dense_weights(untouched), after = dense_weights(model),
                 rounded = dense_weights(other);
      for (std::size_t i = 0; i < pass.parameters.size(); ++i) {
        EXPECT_TRUE(same_gradient(pass.parameters[i], expected.parameters[i].grad))
            << pass.parameters[i].name;
      }
      for (std::size_t i = 0; i < before.size(); ++i) {
        EXPECT_TRUE(same_bytes(after[i].second, before[i].second));  // the master weights stay
        EXPECT_EQ(static_cast<bool>(same_bytes(rounded[i].second, before[i].second)),
                  !is_linear(before[i].first))
            << before[i].first;
      }
    }
  }
}

// The weights that are not quantized have a gradient in the ordinary sense, through all that is.
TEST(FakeQuantizedDecoder, OtherGradientsMatchFiniteDifferences) {
  LlamaModel model = small_model();
  fake_quantize(model, {FakeLevels::integers, 3, kRangePerRow, 0.6});
  const Pass pass(model, ActivationPolicy::keep);
  Arena arena;
  const auto f = [&] { return 0.7 * loss_forward(model, small_batch(), arena); };
  for (const Parameter& p : pass.parameters) {
    if (is_linear(p.name)) continue;
    EXPECT_TRUE(testing::matches_finite_differences(f, p.value, p.grad)) << p.name;
  }
}

TEST(FakeQuantizedDecoder, WhatIsCutOffGetsNoGradient) {
  LlamaModel model = small_model(), whole = small_model();
  const FakeFormat format{FakeLevels::integers, 4, kRangePerTensor, 0.5};
  fake_quantize(model, format);
  fake_quantize(whole, format);
  round_to_fake_formats(whole);
  const Pass pass(model, ActivationPolicy::keep), expected(whole, ActivationPolicy::keep);
  std::size_t cut = 0;
  for (std::size_t i = 0; i < pass.parameters.size(); ++i) {
    const Parameter &p = pass.parameters[i], &q = expected.parameters[i];
    const Tensor masked = Tensor::zeros(DType::f64, q.grad.shape());
    if (is_linear(p.name)) {
      ops::fake_quantize_backward(format, p.value, q.grad, masked);
    } else {
      std::copy_n(q.grad.data<double>(), q.grad.numel(), masked.data<double>());
    }
    EXPECT_TRUE(same_gradient(p, masked)) << p.name;
    for (const double g : p.grad.span<double>()) cut += g == 0;
  }
  EXPECT_GT(cut, 100u);
}

TEST(FakeQuantizedDecoder, OnlyTheNamedLayersAreQuantized) {
  LlamaModel model = small_model();
  fake_quantize(model, {FakeLevels::nf4}, std::vector<std::string>{"q_proj", "down_proj"});
  model.for_each_projection([](LinearGroup&, Projection& p) {
    const bool named = p.name.ends_with("q_proj") || p.name.ends_with("down_proj");
    EXPECT_EQ(p.fake.has_value(), named) << p.name;
  });
  EXPECT_THROW(fake_quantize(model, {}, std::vector<std::string>{"lm_head"}), UsageError);
  EXPECT_THROW(fake_quantize(model, {FakeLevels::integers, 1}), std::invalid_argument);
}

}  // namespace
}  // namespace qlora
