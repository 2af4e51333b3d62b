// AdamW with moments in 8 bits: a step from given codes, and the cases of its quantizers.
#include "ops/adamw_8bit.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/ops.h"
#include "quantization/dynamic_map.h"
#include "support/finite_difference.h"
#include "support/matcher.h"

namespace qlora {
namespace {

using testing::is_close;
using testing::same_bytes;

Blockwise8Tensor zero_moment(std::int64_t n, bool is_signed) {
  const std::int64_t blocks = (n + kMomentBlock - 1) / kMomentBlock;
  return {kMomentBlock, Tensor::zeros(DType::u8, {n}), Tensor::zeros(DType::f32, {blocks}),
          Tensor::from<float>(create_dynamic_map(is_signed), {256})};
}

Tensor normal(std::int64_t n, std::uint64_t stream) {
  const Tensor from = testing::normal_tensor({n}, stream);
  const Tensor t = Tensor::empty(DType::f32, {n});
  std::ranges::copy(from.span<double>(), t.data<float>());
  return t;
}

// Two blocks and a short third.
struct Example {
  std::int64_t n = 2 * kMomentBlock + 77;
  AdamW8bitTensors t{normal(n, 1), normal(n, 2), zero_moment(n, true), zero_moment(n, false)};
  AdamWStep step{1e-2, 0.9, 0.999, 1e-8, 0.0, 1};

  void make() {
    ops::adamw_8bit_all(step, std::array{t});
    ++step.t;
  }
  double m(std::int64_t i) const { return value(t.m, i); }
  double v(std::int64_t i) const { return value(t.v, i); }
  static double value(const Blockwise8Tensor& moment, std::int64_t i) {
    return double{moment.map.data<float>()[moment.codes.data<std::uint8_t>()[i]]} *
           double{moment.absmax.data<float>()[i / kMomentBlock]};
  }
};

// β2 in float32 leaves 1 − β2 with 1.3e-5 of itself, and a step with half of that: 1e-4 of the
// learning rate is more. The rest is a handful of roundings.
TEST(AdamW8bit, AStepIsThatOfTheMomentsItRestores) {
  Example e;
  for (int s = 0; s < 4; ++s) {
    e.step.weight_decay = s < 2 ? 0.0 : 0.1;
    const Example before{e.n,
                         {e.t.gradient,
                          e.t.parameter.clone(),
                          {kMomentBlock, e.t.m.codes.clone(), e.t.m.absmax.clone(), e.t.m.map},
                          {kMomentBlock, e.t.v.codes.clone(), e.t.v.absmax.clone(), e.t.v.map}},
                         e.step};
    e.make();
    const double t = static_cast<double>(before.step.t);
    for (std::int64_t i = 0; i < e.n; ++i) {
      const double g = double{e.t.gradient.data<float>()[i]};
      const double m = 0.9 * before.m(i) + 0.1 * g, v = 0.999 * before.v(i) + 0.001 * g * g;
      const double root = std::sqrt(v) / std::sqrt(1 - std::pow(0.999, t)) + 1e-8;
      const double p =
          (double{before.t.parameter.data<float>()[i]} - 1e-2 * m / (1 - std::pow(0.9, t)) / root) *
          (1 - 1e-2 * before.step.weight_decay);
      EXPECT_TRUE(is_close(e.t.parameter.data<float>()[i], p, 1e-2 * 1e-4, 3e-7)) << s << " " << i;
    }
  }
}

TEST(AdamW8bit, MaximaAreThoseOfTheNewMoments) {
  Example e;
  e.make();
  for (std::int64_t b = 0; b < 3; ++b) {
    double most = 0;
    for (std::int64_t i = b * kMomentBlock; i < std::min(e.n, (b + 1) * kMomentBlock); ++i) {
      most = std::max(most, std::abs(double{e.t.gradient.data<float>()[i]}));
    }
    EXPECT_TRUE(is_close(e.t.m.absmax.data<float>()[b], 0.1 * most, 0, 1e-6));
    EXPECT_TRUE(is_close(e.t.v.absmax.data<float>()[b], 0.001 * most * most, 0, 1e-4));
  }
}

// A mean a millionth of the largest rounds to zero; its code says which way it went.
TEST(AdamW8bit, ATinyMeanKeepsItsSign) {
  Example e;
  e.t.gradient.data<float>()[3] = -1e-9f;
  e.t.gradient.data<float>()[4] = 1e-9f;
  e.make();
  EXPECT_LT(e.m(3), 0.0);
  EXPECT_GE(e.m(4), 0.0);
  for (std::int64_t i = 0; i < e.n; ++i) {
    const float g = e.t.gradient.data<float>()[i];
    if (e.m(i) != 0) {
      EXPECT_EQ(std::signbit(e.m(i)), std::signbit(g)) << i;
    }
  }
}

TEST(AdamW8bit, AGradientThatIsNotFiniteForgetsItsMomentsAlone) {
  Example e;
  e.make();
  const float p = e.t.parameter.data<float>()[5];
  e.t.gradient.data<float>()[5] = std::numeric_limits<float>::quiet_NaN();
  e.t.gradient.data<float>()[300] = std::numeric_limits<float>::infinity();
  e.make();
  EXPECT_EQ(e.m(5), 0.0);
  EXPECT_EQ(e.v(300), 0.0);
  EXPECT_EQ(e.t.parameter.data<float>()[5], p);
  for (const float x : e.t.parameter.span<float>()) EXPECT_TRUE(std::isfinite(x));
  for (const float x : e.t.m.absmax.span<float>()) EXPECT_TRUE(std::isfinite(x));
}

TEST(AdamW8bit, ZeroGradientsMoveNothing) {
  Example e;
  e.t.gradient.zero();
  const Tensor p = e.t.parameter.clone();
  e.make();
  e.make();
  EXPECT_TRUE(same_bytes(e.t.parameter, p));
  for (std::int64_t i = 0; i < e.n; ++i) EXPECT_EQ(e.m(i), 0.0);
}

TEST(AdamW8bit, GradientsAreClippedByTheNorm) {
  Example clipped, halved;
  Arena arena;
  const Tensor norm = Tensor::empty(DType::f64, {1});
  ops::gradient_norm(std::array{clipped.t.gradient}, arena, norm);
  const double all = *norm.data<double>();
  clipped.step.clip = {norm, all / 2};
  clipped.make();
  const auto factor = static_cast<float>(gradient_factor(all, all / 2, 1.0));
  for (float& g : halved.t.gradient.span<float>()) g *= factor;
  halved.make();
  EXPECT_TRUE(same_bytes(clipped.t.parameter, halved.t.parameter));
  EXPECT_TRUE(same_bytes(clipped.t.m.codes, halved.t.m.codes));
  EXPECT_TRUE(same_bytes(clipped.t.v.absmax, halved.t.v.absmax));
  *norm.data<double>() = std::numeric_limits<double>::infinity();
  const Tensor p = clipped.t.parameter.clone();
  clipped.make();
  EXPECT_TRUE(same_bytes(clipped.t.parameter, p));
}

TEST(AdamW8bit, BytesOfTheMoments) {
  EXPECT_EQ(bytes_of_8bit_moments(4095), 8 * 4095);
  EXPECT_EQ(bytes_of_8bit_moments(4096), 2 * (4096 + 16 * 4));
  EXPECT_EQ(bytes_of_8bit_moments(4097), 2 * (4097 + 17 * 4));
}

}  // namespace
}  // namespace qlora
