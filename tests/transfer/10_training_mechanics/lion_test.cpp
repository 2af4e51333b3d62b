// Lion, against numbers by hand and the mean summed over all gradients.
#include "lion.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "support/finite_difference.h"
#include "support/matcher.h"

namespace qlora {
namespace {

using testing::all_close;
using testing::is_close;
using testing::normal_tensor;

// Parameters with their mean, and steps on them.
struct Lion {
  LionSettings settings;
  std::vector<double> p, m = std::vector<double>(p.size(), 0.0);

  void run(const std::vector<double>& gradients) {
    const auto n = static_cast<std::int64_t>(p.size());
    lion(settings, static_cast<std::int64_t>(gradients.size()) / n, n, gradients.data(), p.data(),
         m.data());
  }
};

// A few products and sums of numbers of order one, in double.
constexpr double kRounding = 1e-14;

TEST(Lion, AStepIsTheLearningRateWhateverTheGradient) {
  Lion l{{0.25}, {1.0, 1.0, 1.0}};
  l.run({1000.0, -1e-9, 0.5});
  EXPECT_TRUE(all_close(l.p, std::vector<double>{0.75, 1.25, 0.75}, kRounding));
}

TEST(Lion, AZeroGradientOfAFreshRunMovesNothing) {
  Lion l{{0.25}, {1.0, -2.0}};
  l.run({0.0, 0.0});
  EXPECT_EQ(l.p, (std::vector<double>{1.0, -2.0}));
}

TEST(Lion, TheMeanIsOfTheSecondBeta) {
  Lion l{{0.1, 0.9, 0.75}, {1.0}};
  l.run({2.0});
  EXPECT_TRUE(is_close(l.m[0], 0.5, kRounding));
  l.run({-4.0});
  EXPECT_TRUE(is_close(l.m[0], 0.75 * 0.5 - 1.0, kRounding));
}

// m = 1, g = −5: the mixture 0.9 − 0.5 is positive, and so the parameter falls though the gradient
// is negative. With m moved on first, to −2, it would be −1.8 − 0.5 and the parameter would rise.
TEST(Lion, TheSignIsOfAMixtureWithTheOldMean) {
  Lion l{{0.25, 0.9, 0.5}, {1.0}, {1.0}};
  l.run({-5.0});
  EXPECT_TRUE(is_close(l.p[0], 0.75, kRounding));
  EXPECT_TRUE(is_close(l.m[0], -2.0, kRounding));
}

TEST(Lion, TheMixtureIsOfTheFirstBeta) {
  // 0.6 · 1 − 0.4 · 2 is negative; with the second beta, 0.9 · 1 − 0.1 · 2, it would be positive.
  Lion l{{0.25, 0.6, 0.9}, {1.0}, {1.0}};
  l.run({-2.0});
  EXPECT_TRUE(is_close(l.p[0], 1.25, kRounding));
}

TEST(Lion, DecayIsDecoupledAndTimesTheLearningRate) {
  Lion l{{0.5, 0.9, 0.99, 0.1}, {2.0, -4.0}};
  l.run({1.0, 0.0});
  EXPECT_TRUE(
      all_close(l.p, std::vector<double>{2.0 - 0.5 * (1 + 0.2), -4.0 + 0.5 * 0.4}, kRounding));
  EXPECT_EQ(l.m[1], 0.0) << "the mean does not see it";
}

TEST(Lion, DecayUsesTheParameterBeforeTheStep) {
  Lion l{{0.5, 0.9, 0.99, 1.0}, {1.0}};
  l.run({1.0});
  EXPECT_TRUE(is_close(l.p[0], 0.0, kRounding));  // not (1 − 0.5) · 0.5
}

// The mean over all gradients, in long double.
long double summed_mean(const std::vector<double>& g, long double beta) {
  long double sum = 0;
  for (std::size_t s = 0; s < g.size(); ++s) {
    sum += (1 - beta) * std::pow(beta, static_cast<long double>(g.size() - 1 - s)) *
           static_cast<long double>(g[s]);
  }
  return sum;
}

TEST(Lion, ALongRunFollowsTheSummedMean) {
  const Tensor g = normal_tensor({200}, 1);
  Lion l{{1e-2, 0.95, 0.98}, {0.0}};
  std::vector<double> seen;
  double p = 0.0;
  for (const double x : g.span<double>()) {
    const long double mixture = 0.95L * summed_mean(seen, 0.98L) + 0.05L * x;
    p -= 1e-2 * (mixture > 0 ? 1 : -1);
    seen.push_back(x);
  }
  l.run(seen);
  EXPECT_TRUE(is_close(l.p[0], p, 1e-12));
  EXPECT_TRUE(is_close(l.m[0], static_cast<double>(summed_mean(seen, 0.98L)), 1e-13));
}

TEST(Lion, ARunInTwoPartsIsTheWholeOne) {
  const Tensor g = normal_tensor({40, 3}, 2);
  const auto values = g.span<double>();
  Lion whole{{1e-2, 0.9, 0.99, 0.1}, {1.0, -1.0, 0.5}};
  Lion parts = whole;
  whole.run({values.begin(), values.end()});
  parts.run({values.begin(), values.begin() + 51});
  parts.run({values.begin() + 51, values.end()});
  EXPECT_TRUE(all_close(parts.p, whole.p, 1e-13));
  EXPECT_TRUE(all_close(parts.m, whole.m, 1e-13));
}

TEST(Lion, ElementsDoNotSeeEachOther) {
  const Tensor g = normal_tensor({25, 2}, 3);
  std::vector<double> first, second;
  for (std::int64_t t = 0; t < 25; ++t) {
    first.push_back(g.data<double>()[2 * t]);
    second.push_back(g.data<double>()[2 * t + 1]);
  }
  Lion both{{1e-2}, {1.0, 2.0}}, a{{1e-2}, {1.0}}, b{{1e-2}, {2.0}};
  both.run({g.data<double>(), g.data<double>() + 50});
  a.run(first);
  b.run(second);
  EXPECT_TRUE(all_close(both.p, std::vector<double>{a.p[0], b.p[0]}, kRounding));
  EXPECT_TRUE(all_close(both.m, std::vector<double>{a.m[0], b.m[0]}, kRounding));
}

TEST(Lion, NoStepsChangeNothing) {
  Lion l{{0.25}, {1.0}, {0.5}};
  lion(l.settings, 0, 1, nullptr, l.p.data(), l.m.data());
  EXPECT_EQ(l.p[0], 1.0);
  EXPECT_EQ(l.m[0], 0.5);
}

}  // namespace
}  // namespace qlora
