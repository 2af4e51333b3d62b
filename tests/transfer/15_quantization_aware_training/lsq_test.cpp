// A learned step size against every code tried, and finite differences.
#include "lsq.h"

#include <gtest/gtest.h>

#include <vector>

#include "slow_lsq.h"
#include "support/finite_difference.h"
#include "support/matcher.h"

namespace qlora {
namespace {

using testing::is_close;
using Doubles = std::vector<double>;

// Central differences with h = 1e-6 of numbers up to 10 are off by 2e-16 · 10 / 1e-6 = 2e-9.
constexpr double kDifferences = 1e-8;

Doubles values(std::int64_t n, std::uint64_t seed) {
  const Tensor t = testing::normal_tensor({n}, seed);
  const auto span = t.span<double>();
  return {span.begin(), span.end()};
}

struct Gradients {
  Doubles dv;
  double ds = 0;
};

Gradients gradients(const Lsq& lsq, const Doubles& v, const Doubles& dv_q) {
  Gradients g{Doubles(v.size(), 0.0)};
  lsq_backward(lsq, v, dv_q, g.dv, g.ds);
  return g;
}

TEST(Lsq, CodesByHand) {
  // three bits: -4 … 3, steps of 0.5
  const Doubles v{0.0, 0.2, 0.3, -0.8, 1.7, -2.2, -1.9};
  Doubles v_q(v.size());
  lsq_forward({3, 0.5}, v, v_q);
  EXPECT_EQ(v_q, (Doubles{0, 0, 0.5, -1, 1.5, -2, -2}));
}

TEST(Lsq, TiesGoToTheEvenCode) {
  const Doubles v{0.5, 1.5, -0.5, -1.5, 2.5, -2.5};
  Doubles v_q(v.size());
  lsq_forward({3, 1.0}, v, v_q);
  EXPECT_EQ(v_q, (Doubles{0, 2, 0, -2, 2, -2}));
}

TEST(Lsq, EveryCodeIsTheNearest) {
  for (const int bits : {2, 3, 5}) {
    const Doubles v = values(200, 1);
    Doubles v_q(v.size());
    lsq_forward({bits, 0.3}, v, v_q);
    for (std::size_t i = 0; i < v.size(); ++i) {
      EXPECT_TRUE(is_close(v_q[i], 0.3 * testing::slow_code(bits, v[i] / 0.3), 1e-15)) << v[i];
    }
  }
}

TEST(Lsq, GradientOfTheValuesPassesBetweenTheEnds) {
  const Doubles v{-4.5, -3.9, 0.2, 2.9, 3.4}, ones(5, 1.0);
  const Gradients g = gradients({3, 1.0}, v, ones);
  const double expected[] = {0, 1, 1, 1, 0};
  for (std::size_t i = 0; i < v.size(); ++i) {
    EXPECT_TRUE(is_close(g.dv[i], expected[i], kDifferences)) << v[i];
  }
}

TEST(Lsq, AtAnEndAValueCountsAsCutOff) {
  const Doubles v{-4.0, 3.0}, ones(2, 1.0);
  const Gradients g = gradients({3, 1.0}, v, ones);
  EXPECT_TRUE(is_close(g.dv[0], 0, kDifferences));
  EXPECT_TRUE(is_close(g.dv[1], 0, kDifferences));
  EXPECT_TRUE(is_close(g.ds, (-4.0 + 3.0) / std::sqrt(2.0 * 3.0), kDifferences));
}

TEST(Lsq, GradientOfTheStepByHand) {
  // z = 1.4, -0.3, 5 and -6: round(z) - z, twice, and the two ends; one at a time
  const Doubles v{0.7, -0.15, 2.5, -3.0};
  const double expected[] = {-0.4, 0.3, 3, -4};
  for (std::size_t i = 0; i < v.size(); ++i) {
    const Gradients g = gradients({3, 0.5}, {v[i]}, {2.0});
    EXPECT_TRUE(is_close(g.ds, 2.0 * expected[i] / std::sqrt(3.0), kDifferences)) << v[i];
  }
}

TEST(Lsq, GradientsMatchFiniteDifferences) {
  for (const int bits : {2, 4}) {
    const Doubles v = values(60, 2), dv_q = values(60, 3);
    const Lsq lsq{bits, 0.35};
    const Gradients g = gradients(lsq, v, dv_q);
    double ds = 0;
    for (std::size_t i = 0; i < v.size(); ++i) {
      EXPECT_TRUE(
          is_close(g.dv[i], dv_q[i] * testing::slow_dv(bits, v[i], lsq.s), 10 * kDifferences));
      ds += dv_q[i] * testing::slow_ds(bits, v[i], lsq.s);
    }
    ds /= std::sqrt(60.0 * (std::pow(2.0, bits - 1) - 1));
    EXPECT_TRUE(is_close(g.ds, ds, 60 * kDifferences));
  }
}

TEST(Lsq, GradientOfTheStepIsScaledByCountAndRange) {
  // n equal values give n / sqrt(n · q_p) times the gradient of one without the factor
  for (const int bits : {2, 4}) {
    const double q_p = std::pow(2.0, bits - 1) - 1;
    for (const std::size_t n : {std::size_t{1}, std::size_t{16}}) {
      const Gradients g = gradients({bits, 1.0}, Doubles(n, 0.2), Doubles(n, 1.0));
      EXPECT_TRUE(is_close(g.ds, -0.2 * std::sqrt(static_cast<double>(n) / q_p), kDifferences));
    }
  }
}

TEST(Lsq, GradientsAreAddedToWhatIsThere) {
  const Doubles v{0.3}, dv_q{2.0};
  Doubles dv{5.0};
  double ds = 7.0;
  lsq_backward({2, 1.0}, v, dv_q, dv, ds);
  EXPECT_TRUE(is_close(dv[0], 7.0, kDifferences));
  EXPECT_TRUE(is_close(ds, 7.0 - 0.6, kDifferences));
}

TEST(Lsq, FirstStep) {
  const Doubles v{1.0, -2.0, 3.0, -6.0};
  EXPECT_TRUE(is_close(lsq_first_step(4, v), 2.0 * 3.0 / std::sqrt(7.0), 1e-15));
  EXPECT_TRUE(is_close(lsq_first_step(2, v), 6.0, 1e-15));
}

}  // namespace
}  // namespace qlora
