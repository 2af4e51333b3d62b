// The frequencies of the rotary embedding: the plain series, and Llama 3's scaling of it.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <numbers>

#include "core/json.h"
#include "llama/config.h"
#include "support/golden.h"
#include "support/matcher.h"

namespace qlora {
namespace {

using testing::golden;
using testing::is_close;

// Exponent, power, reciprocal and two products are each rounded to float32, and the power may be an
// ulp off: 5 · 2^-24 = 3e-7.
constexpr double kRounding = 4e-7;

LlamaConfig plain(std::int64_t D, double theta) {
  LlamaConfig c;
  c.head_dim = D;
  c.rope_theta = theta;
  return c;
}

// Llama 3.2 3B's.
LlamaConfig scaled() {
  LlamaConfig c = plain(128, 500000.0);
  c.rope_scaling = {"llama3", 32.0, 1.0, 4.0, 8192};
  return c;
}

double unscaled(const LlamaConfig& c, std::size_t i) {
  return std::pow(c.rope_theta, -2.0 * static_cast<double>(i) / static_cast<double>(c.head_dim));
}

// How often a frequency turns within the original context.
double turns(const LlamaConfig& c, std::size_t i) {
  return static_cast<double>(c.rope_scaling.original_max_position_embeddings) * unscaled(c, i) /
         (2.0 * std::numbers::pi);
}

TEST(RopeFrequencies, OneForEveryPair) {
  EXPECT_EQ(inverse_frequencies(plain(6, 10000.0)).size(), 3u);
  EXPECT_EQ(inverse_frequencies(scaled()).size(), 64u);
}

TEST(RopeFrequencies, WithoutScalingByHand) {
  const std::vector<float> f = inverse_frequencies(plain(8, 10000.0));
  ASSERT_EQ(f.size(), 4u);
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_TRUE(is_close(f[i], std::pow(10.0, -static_cast<double>(i)), 0, kRounding)) << i;
  }
}

TEST(RopeFrequencies, FollowTheBase) {
  const std::vector<float> f = inverse_frequencies(plain(4, 500000.0));
  ASSERT_EQ(f.size(), 2u);
  EXPECT_EQ(f[0], 1.0f);
  EXPECT_TRUE(is_close(f[1], 1.0 / std::sqrt(500000.0), 0, kRounding));
}

// Holds those frequencies of Llama 3.2 3B that turn `least` to `most` times against a multiple of
// the unscaled ones. Returns how many there are.
std::size_t expect_scaled(double least, double most, double tolerance,
                          const std::function<double(double)>& by_turns) {
  const LlamaConfig c = scaled();
  const std::vector<float> f = inverse_frequencies(c);
  EXPECT_EQ(f.size(), 64u);
  std::size_t found = 0;
  for (std::size_t i = 0; i < f.size(); ++i) {
    if (turns(c, i) < least || turns(c, i) > most) continue;
    EXPECT_TRUE(is_close(f[i], unscaled(c, i) * by_turns(turns(c, i)), 0, tolerance)) << i;
    ++found;
  }
  return found;
}

TEST(RopeFrequencies, FastOnesStay) {
  EXPECT_EQ(expect_scaled(4.0, 1e9, kRounding, [](double) { return 1.0; }), 29u);
}

TEST(RopeFrequencies, SlowOnesAreDividedByTheFactor) {
  EXPECT_EQ(expect_scaled(0.0, 1.0, kRounding, [](double) { return 1.0 / 32.0; }), 29u);
}

TEST(RopeFrequencies, BetweenThemIsARamp) {
  // turns − 1 cancels: an error of 3e-7 in up to 4 turns, over 3, in what is multiplied by up to 1.
  const auto ramp = [](double n) {
    const double s = (n - 1.0) / 3.0;  // 0 at one turn, 1 at four
    return s + (1.0 - s) / 32.0;
  };
  EXPECT_EQ(expect_scaled(1.0, 4.0, 1e-5, ramp), 6u);
}

TEST(RopeFrequencies, FollowTheFactor) {
  // Meta's own code has 8 written into it; Llama 3.2's configurations say 32.
  LlamaConfig c = scaled();
  const float by_32 = inverse_frequencies(c).at(63);
  c.rope_scaling.factor = 8.0;
  EXPECT_TRUE(is_close(inverse_frequencies(c).at(63), 4.0 * static_cast<double>(by_32), 0, 1e-6));
}

TEST(RopeFrequencies, FollowTheOtherSettings) {
  LlamaConfig c = plain(32, 10000.0);
  c.rope_scaling = {"llama3", 4.0, 1.0, 4.0, 128};  // the embedded model's
  const std::vector<float> before = inverse_frequencies(c);
  LlamaConfig longer = c, higher = c, lower = c;
  longer.rope_scaling.original_max_position_embeddings = 512;
  higher.rope_scaling.high_freq_factor = 16.0;
  lower.rope_scaling.low_freq_factor = 0.25;
  const auto differ = [&](const LlamaConfig& other) {
    const std::vector<float> after = inverse_frequencies(other);
    std::size_t n = 0;
    for (std::size_t i = 0; i < before.size(); ++i) n += after.at(i) != before[i] ? 1 : 0;
    return n;
  };
  EXPECT_GE(differ(longer), 2u);
  EXPECT_GE(differ(higher), 2u);
  EXPECT_GE(differ(lower), 2u);
}

// Of transformers on the published shapes: a power and a division may each be an ulp off.
TEST(RopeFrequencies, AreThoseOfTransformers) {
  const Json shapes = Json::read(golden("llama/rope_real_shapes.json"));
  ASSERT_GE(shapes.size(), 2u);
  for (const auto& [name, shape] : shapes.as_object()) {
    const Json& rope = shape.at("rope");
    LlamaConfig c = plain(shape.at("head_dim").as_integer(), rope.at("rope_theta").as_number());
    if (rope.at("rope_type").as_string() == "llama3") {
      c.rope_scaling = {"llama3", rope.at("factor").as_number(),
                        rope.at("low_freq_factor").as_number(),
                        rope.at("high_freq_factor").as_number(),
                        rope.at("original_max_position_embeddings").as_integer()};
    }
    const std::vector<float> ours = inverse_frequencies(c);
    const Json& theirs = shape.at("inv_freq");
    ASSERT_EQ(ours.size(), theirs.size()) << name;
    for (std::size_t i = 0; i < ours.size(); ++i) {
      EXPECT_TRUE(is_close(ours[i], theirs.at(i).as_number(), 0, 2.5e-7)) << name << " " << i;
    }
  }
}

}  // namespace
}  // namespace qlora
