// AdamW: torch's numbers, and one case each for what can be put in the wrong place.
#include "ops/adamw.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "support/matcher.h"

namespace qlora {
namespace {

using testing::all_close;
using testing::is_close;

// Parameters with their moments, in one type of arithmetic.
template <typename T>
struct State {
  std::vector<T> p, m = std::vector<T>(p.size(), T{0}), v = std::vector<T>(p.size(), T{0});

  void step(const AdamWStep& step, const std::vector<T>& g) {
    cpu::adamw<T>(step, static_cast<std::int64_t>(p.size()), g.data(), p.data(), m.data(),
                  v.data());
  }
  std::vector<double> values() const { return {p.begin(), p.end()}; }
};

AdamWStep step_of(double lr, double weight_decay = 0.0, std::int64_t t = 1) {
  AdamWStep step;
  step.lr = lr;
  step.weight_decay = weight_decay;
  step.t = t;
  return step;
}

// Printed by torch.optim.AdamW in float32 with nine digits: half a unit of the last place of
// float32 at 2 is 1.2e-7, and of each of three steps.
TEST(AdamW, ThreeStepsOfTorch) {
  const std::vector<std::vector<float>> gradients{
      {0.1f, -0.2f, 0.0f}, {0.3f, 0.1f, -0.05f}, {-0.2f, 0.4f, 1e-4f}};
  const std::vector<std::vector<double>> plain{{0.999000013, -1.99899995, 0.5},
                                               {0.998082221, -1.99873364, 0.500744164},
                                               {0.997824311, -1.99919093, 0.501318097}};
  const std::vector<std::vector<double>> decayed{{0.998989999, -1.99897993, 0.499994993},
                                                 {0.998062193, -1.99869359, 0.50073415},
                                                 {0.997794271, -1.99913085, 0.501303077}};
  for (const double weight_decay : {0.0, 0.01}) {
    State<float> s{{1.0f, -2.0f, 0.5f}};
    for (std::int64_t t = 1; t <= 3; ++t) {
      s.step(step_of(1e-3, weight_decay, t), gradients[t - 1]);
      EXPECT_TRUE(all_close(s.values(), (weight_decay == 0 ? plain : decayed)[t - 1], 3.6e-7))
          << "step " << t << ", weight decay " << weight_decay;
    }
  }
}

// Bias correction: m and v hold a tenth and a thousandth of the truth at first.
TEST(AdamW, TheFirstStepIsTheLearningRateWhateverTheGradient) {
  State<double> s{{1.0, 1.0, 1.0, 1.0}};
  s.step(step_of(0.25), {1000.0, 1.0, -1e-3, 1e-5});
  EXPECT_TRUE(all_close(s.values(), std::vector<double>{0.75, 0.75, 1.25, 0.75}, 3e-4));
  EXPECT_TRUE(is_close(s.p[0], 0.75, 1e-11));
}

// sqrt(v) / sqrt(1 − β2^t) + eps: a gradient as small as eps makes half a step. With eps beside the
// uncorrected root it would make 0.03 of one, with eps under the root next to none.
TEST(AdamW, EpsilonStandsBesideTheCorrectedRoot) {
  State<double> s{{1.0, 1.0}};
  s.step(step_of(0.5), {1e-8, 0.0});
  EXPECT_TRUE(is_close(s.p[0], 0.75, 1e-12));
  EXPECT_EQ(s.p[1], 1.0);
  AdamWStep step = step_of(0.5);
  step.eps = 1e-3;
  State<double> other{{1.0}};
  other.step(step, {1e-3});
  EXPECT_TRUE(is_close(other.p[0], 0.75, 1e-12));
}

TEST(AdamW, DecayComesBeforeTheUpdate) {
  State<double> s{{1.0, 2.0}};
  s.step(step_of(0.5, 0.5), {1.0, -1.0});
  // 1 · 0.75 − 0.5, and not (1 − 0.5) · 0.75
  EXPECT_TRUE(all_close(s.values(), std::vector<double>{0.25, 2.0}, 1e-7));
}

// The decay is no part of the gradient: neither moment sees it.
TEST(AdamW, DecayIsDecoupled) {
  State<double> s{{4.0}};
  s.step(step_of(0.1, 0.5), {0.0});
  EXPECT_TRUE(is_close(s.p[0], 3.8, 1e-15));
  EXPECT_EQ(s.m[0], 0.0);
  EXPECT_EQ(s.v[0], 0.0);
}

TEST(AdamW, MomentsAreMeansOfGradientsAndOfSquares) {
  State<double> s{{1.0}};
  s.step(step_of(1e-3), {2.0});
  EXPECT_TRUE(is_close(s.m[0], 0.2, 1e-15));
  EXPECT_TRUE(is_close(s.v[0], 0.004, 1e-15));
  s.step(step_of(1e-3, 0.0, 2), {-1.0});
  EXPECT_TRUE(is_close(s.m[0], 0.9 * 0.2 - 0.1, 1e-15));
  EXPECT_TRUE(is_close(s.v[0], 0.999 * 0.004 + 0.001, 1e-15));
}

// After many equal gradients both corrections are near 1; at step 2 they are 0.19 and 0.001999.
TEST(AdamW, CorrectionsFollowTheStep) {
  State<double> s{{0.0}};
  s.step(step_of(1.0), {0.0});
  s.step(step_of(1.0, 0.0, 2), {1.0});
  EXPECT_TRUE(is_close(s.p[0], -(0.1 / 0.19) / std::sqrt(0.001 / 0.001999), 1e-6));
  State<double> late{{0.0}};
  late.step(step_of(1.0, 0.0, 100000), {1.0});
  EXPECT_TRUE(is_close(late.p[0], -0.1 / std::sqrt(0.001), 1e-6));
}

TEST(AdamW, BothBetasAreTheSteps) {
  AdamWStep step = step_of(0.5);
  step.beta1 = 0.5;
  step.beta2 = 0.75;
  State<double> s{{0.0}};
  s.step(step, {4.0});
  EXPECT_TRUE(is_close(s.m[0], 2.0, 1e-15));
  EXPECT_TRUE(is_close(s.v[0], 4.0, 1e-15));
  EXPECT_TRUE(is_close(s.p[0], -0.5, 1e-8));
}

AdamWStep clipped(double norm, double max_norm, double scale = 1.0) {
  AdamWStep step = step_of(0.5);
  step.clip = {Tensor::from<double>(std::vector<double>{norm}, {1}), max_norm, scale};
  return step;
}

// All gradients together have norm 5: each is multiplied by 1/(5 + 1e-6) where it is used.
TEST(AdamW, GradientsAreClippedAndScaledBack) {
  State<double> s{{0.0, 0.0}};
  const std::vector<double> g{3.0, -4.0};
  s.step(clipped(5.0, 1.0), g);
  EXPECT_TRUE(is_close(s.m[0], 0.1 * 3.0 / (5.0 + 1e-6), 1e-15));
  EXPECT_TRUE(is_close(s.v[1], 0.001 * std::pow(4.0 / (5.0 + 1e-6), 2), 1e-15));
  EXPECT_EQ(g[0], 3.0);
  State<double> below{{0.0, 0.0}};
  below.step(clipped(5.0, 6.0), g);
  EXPECT_TRUE(is_close(below.m[0], 0.3, 1e-15));
  State<double> scaled{{0.0, 0.0}};
  scaled.step(clipped(5.0, 0.0, 1024.0), {3.0 * 1024, -4.0 * 1024});
  EXPECT_TRUE(is_close(scaled.m[1], -0.4, 1e-15));
}

TEST(AdamW, ANormThatIsNotFiniteMakesNoStep) {
  for (const double norm :
       {std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
    State<float> s{{1.0f, 2.0f}};
    AdamWStep step = clipped(norm, 1.0);
    step.weight_decay = 0.5;
    s.step(step, {1.0f, std::numeric_limits<float>::quiet_NaN()});
    EXPECT_EQ(s.p, (std::vector<float>{1.0f, 2.0f}));
    EXPECT_EQ(s.m, (std::vector<float>{0.0f, 0.0f}));
    EXPECT_EQ(s.v, (std::vector<float>{0.0f, 0.0f}));
  }
}

TEST(AdamW, EveryElementOfALongTensor) {
  State<float> s{std::vector<float>(10001, 1.0f)};
  std::vector<float> g(s.p.size());
  for (std::size_t i = 0; i < g.size(); ++i) g[i] = i % 2 == 0 ? 0.5f : -2.0f;
  s.step(step_of(0.25), g);
  for (std::size_t i = 0; i < g.size(); ++i) {
    ASSERT_TRUE(is_close(s.p[i], i % 2 == 0 ? 0.75 : 1.25, 1e-6)) << i;
  }
}

// 1e8 squares of float32 would stop growing at 2^24; these are fewer, and of unlike size.
TEST(SquaredNorm, IsSummedInDouble) {
  std::vector<float> g(50001, 1e-2f);
  g[7] = 3e4f;
  const double one = double{1e-2f} * double{1e-2f};
  // Each of 50,001 sums in double is off by 2^-53 at most; in float32 the first already by 2^-24.
  EXPECT_TRUE(
      is_close(cpu::squared_norm<float>(50001, g.data()), 9e8 + 50000 * one, 0, 50001 * 0x1p-53));
  EXPECT_TRUE(
      is_close(cpu::squared_norm<double>(3, std::vector<double>{3, -4, 12}.data()), 169, 0));
  EXPECT_EQ(cpu::squared_norm<float>(0, nullptr), 0.0);
}

TEST(SquaredNorm, HasNoTailLeftOut) {
  for (const std::int64_t n : {1, 31, 4095, 4096, 4097, 8193}) {
    const std::vector<float> ones(static_cast<std::size_t>(n), 1.0f);
    EXPECT_EQ(cpu::squared_norm<float>(n, ones.data()), static_cast<double>(n));
  }
}

}  // namespace
}  // namespace qlora
