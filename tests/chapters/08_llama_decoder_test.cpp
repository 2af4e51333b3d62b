// Chapter 8's claims: they hold for the course's inputs, and follow other inputs; and what the
// decoder as a whole shows of them.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "08_llama_decoder/claims.h"
#include "chapters/chapter_claims.h"
#include "checkpoint/safetensors.h"
#include "core/error.h"
#include "core/matmul.h"
#include "llama/decoder.h"
#include "llama/module_tree.h"
#include "support/finite_difference.h"
#include "support/matcher.h"

namespace qlora::chapter08 {
namespace {

constexpr testing::ChapterClaims<CourseInputs> kClaims{"08_llama_decoder"};

TEST(Chapter08, AllClaimsHold) {
  const Ledger ledger = kClaims.ledger();
  EXPECT_NO_THROW(ledger.check());
}

TEST(Chapter08, SizesFollowTheConfiguration) {
  kClaims.expect_follow({"AR-01", "AR-03", "AR-04", "AR-07", "AR-21"},
                        [](CourseInputs& in) { in.model.num_attention_heads = 32; });
  kClaims.expect_follow({"AR-01", "AR-05", "AR-06", "AR-21"},
                        [](CourseInputs& in) { in.model.num_key_value_heads = 4; });
  kClaims.expect_follow({"AR-01", "AR-08", "AR-09", "AR-10", "AR-20", "AR-43"},
                        [](CourseInputs& in) { in.model.intermediate_size = 9216; });
  kClaims.expect_follow({"AR-01", "AR-02", "AR-14", "AR-16"},
                        [](CourseInputs& in) { in.model.num_hidden_layers = 16; });
  kClaims.expect_follow({"AR-01", "AR-11", "AR-12", "AR-23"},
                        [](CourseInputs& in) { in.model.vocab_size = 32000; });
  kClaims.expect_follow({"AR-04", "AR-05", "AR-08", "AR-14", "AR-15", "AR-19", "AR-43"},
                        [](CourseInputs& in) { in.model.hidden_size = 4096; });
  kClaims.expect_follow({"AR-01", "AR-12"},
                        [](CourseInputs& in) { in.model.tie_word_embeddings = false; });
  kClaims.expect_follow({"AR-16"}, [](CourseInputs& in) { in.model.rms_norm_eps = 1e-6; });
  kClaims.expect_follow({"AR-25", "AR-26"},
                        [](CourseInputs& in) { in.llama31.num_hidden_layers = 80; });
}

TEST(Chapter08, SiluFollowsItsPoints) {
  kClaims.expect_follow({"AR-27", "AR-28", "AR-29", "AR-30", "AR-31", "AR-32"},
                        [](CourseInputs& in) {
                          for (double& x : in.silu_at) x += 0.25;
                        });
  kClaims.expect_follow({"AR-33"}, [](CourseInputs& in) { in.far = 5; });
  kClaims.expect_follow({"AR-36"}, [](CourseInputs& in) { in.slopes_at = {-0.5, -3}; });
}

TEST(Chapter08, SilusMinimumAndInflection) {
  EXPECT_NEAR(silu_slope(silu_minimum()), 0.0, 1e-12);
  EXPECT_LT(silu_minimum(), -1.27);
  // x tanh(x/2) = 2 there; the second difference that finds it is off by some 1e-8.
  EXPECT_NEAR(silu_inflection() * std::tanh(silu_inflection() / 2), 2.0, 1e-6);
}

TEST(Chapter08, AWrongInputFails) {
  CourseInputs inputs;
  inputs.model.num_hidden_layers = 32;
  EXPECT_THROW(kClaims.ledger(inputs).check(), Error);
}

// ---- the decoder as a whole ----

LlamaConfig small(std::int64_t layers) {
  LlamaConfig c;
  c.hidden_size = 24;
  c.num_hidden_layers = layers;
  c.num_attention_heads = 4;
  c.num_key_value_heads = 2;
  c.head_dim = 6;
  c.intermediate_size = 32;
  c.vocab_size = 50;
  c.rms_norm_eps = 1e-5;
  c.tie_word_embeddings = true;
  return c;
}

// Random weights large enough for attention to tell tokens apart.
LlamaModel random_small(std::int64_t layers) {
  LlamaModel model = random_model(small(layers), 7);
  for (const auto& [name, weight] : dense_weights(model)) {
    if (weight.rank() != 2) continue;
    for (float& w : weight.span<float>()) w *= 15.0f;
  }
  model.reserve_positions(16);
  return model;
}

Tensor hidden_of(const LlamaModel& model, const std::vector<std::int32_t>& ids) {
  const TokenizedExample row{ids, ids};
  const std::int64_t first = 0;
  const Batch batch = collate(std::span(&row, 1), std::span(&first, 1), 0);
  Arena arena;
  return hidden_forward(model, batch, arena).clone();
}

double largest_difference(const Tensor& a, const Tensor& b) {
  double largest = 0;
  for (std::int64_t i = 0; i < a.numel(); ++i) {
    largest = std::max(largest, std::abs(static_cast<double>(a.data<float>()[i]) -
                                         static_cast<double>(b.data<float>()[i])));
  }
  return largest;
}

// Sums of some dozens of float32 products of order one.
constexpr double kRounding = 2e-5;

// The embedding knows a token's id alone. Without the rotation the last token of a one-layer model
// sees a set: two earlier tokens can be exchanged.
TEST(Chapter08, OnlyTheRotationKnowsPositions) {
  LlamaModel model = random_small(1);
  const std::vector<std::int32_t> ids{3, 17, 29, 41}, exchanged{17, 3, 29, 41};
  const auto last = [&](const std::vector<std::int32_t>& of) {
    return hidden_of(model, of).rows(3, 4).clone();
  };
  EXPECT_GT(largest_difference(last(ids), last(exchanged)), 1e-2);
  for (float& c : model.rope_cos.span<float>()) c = 1.0f;
  for (float& s : model.rope_sin.span<float>()) s = 0.0f;
  EXPECT_LT(largest_difference(last(ids), last(exchanged)), kRounding);
}

// Changing token j changes what comes out at j and later, never before; and without attention's
// output at j alone.
TEST(Chapter08, OnlyAttentionMovesInformation) {
  LlamaModel model = random_small(2);
  const std::vector<std::int32_t> ids{3, 17, 29, 41, 8}, other{3, 17, 30, 41, 8};
  const auto changed = [&] {
    const Tensor before = hidden_of(model, ids), after = hidden_of(model, other);
    std::vector<bool> rows(5);
    for (std::int64_t t = 0; t < 5; ++t) {
      const double apart = largest_difference(before.rows(t, t + 1), after.rows(t, t + 1));
      rows[static_cast<std::size_t>(t)] = apart > 1e-3;
    }
    return rows;
  };
  EXPECT_EQ(changed(), (std::vector<bool>{false, false, true, true, true}));
  for (DecoderLayer& layer : model.layers) layer.o.weight.zero();
  EXPECT_EQ(changed(), (std::vector<bool>{false, false, true, false, false}));
}

// Instruct models have other weights and other ends of text, and the same shapes.
TEST(Chapter08, InstructHasTheShapesOfTheBase) {
  const LlamaConfig base = named_config("llama-3.2-3b");
  LlamaConfig instruct = base;
  instruct.eos_token_ids = {128001, 128008, 128009};
  EXPECT_EQ(module_tree(to_json(instruct), std::nullopt), module_tree(to_json(base), std::nullopt));
  EXPECT_EQ(llama_config(to_json(instruct)).parameter_count(), base.parameter_count());
}

// torch stores (out, in) and computes x · Wᵀ: k_proj maps 192 to 64.
TEST(Chapter08, WeightsLieAsOutTimesIn) {
  const auto file = SafetensorsFile::open(QLORA_TINY_LLAMA "/model.safetensors");
  EXPECT_EQ(file.tensor("model.layers.0.self_attn.k_proj.weight").shape(), (Shape{64, 192}));
  EXPECT_EQ(file.tensor("model.layers.0.mlp.down_proj.weight").shape(), (Shape{192, 512}));
}

TEST(Chapter08, ALayerOfNeuronsIsOneMatrixProduct) {
  const Tensor x = testing::normal_tensor({3, 5}, 1), W = testing::normal_tensor({4, 5}, 2);
  const Tensor y = Tensor::empty(DType::f64, {3, 4}), neurons = Tensor::empty(DType::f64, {3, 4});
  matmul<double>(Transpose::no, Transpose::yes, 3, 4, 5, 1.0, x.data<double>(), 5, W.data<double>(),
                 5, 0.0, y.data<double>(), 4);
  for (std::int64_t i = 0; i < 12; ++i) {
    double sum = 0;
    for (std::int64_t k = 0; k < 5; ++k) {
      sum += x.data<double>()[i / 4 * 5 + k] * W.data<double>()[i % 4 * 5 + k];
    }
    neurons.data<double>()[i] = silu(sum);
    y.data<double>()[i] = silu(y.data<double>()[i]);
  }
  EXPECT_TRUE(testing::all_close(y, neurons, 1e-13));  // five products of order one, in double
}

}  // namespace
}  // namespace qlora::chapter08
