// Chapter 1: each computed claim depends on its inputs, and the network in integers follows the
// float one.
#include <gtest/gtest.h>

#include <functional>

#include "01_min_max_quantization/claims.h"
#include "01_min_max_quantization/network.h"
#include "chapters/chapter_claims.h"
#include "support/matcher.h"

namespace qlora::chapter01 {
namespace {

constexpr testing::ChapterClaims<CourseInputs> kClaims{"01_min_max_quantization"};

TEST(MinMaxClaims, AllHold) {
  const Ledger ledger = kClaims.ledger();
  EXPECT_NO_THROW(ledger.check());
  EXPECT_EQ(ledger.json().size(), 16u);
}

TEST(MinMaxClaims, EachComputedValueComesFromTheInputs) {
  struct Change {
    const char* id;
    std::function<void(CourseInputs&)> change;
  };
  const auto bits = [](CourseInputs& in) { in.to_bits = 4; };
  const auto range = [](CourseInputs& in) { in.range = {-10.0f, 500.0f}; };
  const Change changes[]{
      {"MM-02", bits},
      {"MM-03", bits},
      {"MM-04", range},
      {"MM-05", range},
      {"MM-06", range},
      {"MM-07", [](CourseInputs& in) { in.examples = {10.0f}; }},
      {"MM-08", range},
      {"MM-10", range},
      {"MM-11", [](CourseInputs& in) { in.asymmetric.min = -40.0f; }},
      {"MM-14", range},
  };
  for (const Change& c : changes) kClaims.expect_follow({c.id}, c.change);
}

TEST(MinMaxClaims, AWrongRangeFails) {
  CourseInputs in;
  in.range = {0.0f, 900.0f};
  EXPECT_THROW(kClaims.ledger(in).check(), Error);
}

TEST(PostTraining, TheFloatNetworkDrawsSineAndCosine) {
  const std::vector<float> x = points(333);
  const std::vector<float> y = run_network(sine_and_cosine(32), x);
  for (std::size_t i = 0; i < x.size(); ++i) {
    // between knots h apart the straight line is off by h² / 8 at most; here h = 2 pi / 32
    EXPECT_TRUE(testing::is_close(y[2 * i], std::sin(x[i]), 0.00482 + 1e-5)) << x[i];
    EXPECT_TRUE(testing::is_close(y[2 * i + 1], std::cos(x[i]), 0.00482 + 1e-5)) << x[i];
  }
}

TEST(PostTraining, CalibrateQuantizeRun) {
  const Network net = sine_and_cosine(32);
  const IntegerNetwork integers = quantized(net, points(64));
  const std::vector<float> x = points(1000);
  const std::vector<float> y = run_network(net, x);
  const std::vector<float> y_integer = run_network(integers, x);
  double worst = 0.0;
  for (std::size_t i = 0; i < y.size(); ++i) {
    worst = std::max(worst, std::abs(double{y[i]} - double{y_integer[i]}));
  }
  // What the roundings add up to if all of them conspire: half a step of the input through both
  // layers, half a step of each hidden weight, of each hidden value and of each output weight.
  double bound = 0.0;
  const double pi = 3.14159265358979;
  for (std::size_t n = 0; n < 2; ++n) {
    double sum = 0.0;
    for (std::size_t i = 0; i < 32; ++i) {
      const double w1 = net.hidden.W[i];
      const double w2 = std::abs(net.output.W[n * 32 + i]);
      const double largest = 2.0 * pi * w1;  // of this hidden value
      const double hidden = 0.5 * integers.hidden.input.scale * w1 +
                            0.5 * integers.hidden.weight_scale * pi +
                            0.5 * integers.output.input.scale;
      sum += w2 * hidden + 0.5 * integers.output.weight_scale * (largest + hidden);
    }
    bound = std::max(bound, sum);
  }
  EXPECT_GT(worst, 0.0);
  EXPECT_LE(worst, bound);
  EXPECT_LE(worst, 0.1);  // the roundings do not conspire: a twentieth of the output's range
}

TEST(PostTraining, SumsAreIntegers) {
  // The integer layer equals the float layer on the restored weights and inputs: all that it does
  // is to sum integers instead.
  const Network net = sine_and_cosine(8);
  const std::vector<float> x = points(50);
  const IntegerLayer layer = quantized(net.output, {-1.0f, 9.0f});
  EXPECT_GT(layer.input.zero_point, 0);  // so that the row sums matter
  const std::vector<float> inputs = relu(forward(net.hidden, x));
  Layer restored = net.output;
  dequantize_affine<std::int8_t>(layer.W, {layer.weight_scale, 0}, restored.W);
  std::vector<std::uint8_t> q(inputs.size());
  std::vector<float> restored_inputs(inputs.size());
  quantize_affine<std::uint8_t>(inputs, layer.input, q);
  dequantize_affine<std::uint8_t>(q, layer.input, restored_inputs);
  const std::vector<float> expected = forward(restored, restored_inputs);
  const std::vector<float> actual = forward(layer, inputs);
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t i = 0; i < actual.size(); ++i) {
    // sums of 8 products of at most 9 * 2 in float32
    EXPECT_TRUE(testing::is_close(actual[i], expected[i], 2e-5)) << i;
  }
}

}  // namespace
}  // namespace qlora::chapter01
