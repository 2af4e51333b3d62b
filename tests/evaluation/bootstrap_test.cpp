#include "evaluation/bootstrap.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>

#include "core/random.h"
#include "support/matcher.h"

namespace qlora {
namespace {

using testing::is_close;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

TEST(DrawnAnew, AreTheNumbersOfTheStream) {
  for (const std::uint64_t resample : {0u, 1u, 999u}) {
    const Random random{42, stream_of(kBootstrapStream, resample)};
    const auto items = drawn_anew(37, 42, resample);
    ASSERT_EQ(items.size(), 37u);
    for (std::size_t i = 0; i < 37; ++i) EXPECT_EQ(items[i], random.below(i, 37)) << i;
  }
}

TEST(DrawnAnew, SeedAndResampleChangeThem) {
  EXPECT_EQ(drawn_anew(50, 1, 0), drawn_anew(50, 1, 0));
  EXPECT_NE(drawn_anew(50, 1, 0), drawn_anew(50, 2, 0));
  EXPECT_NE(drawn_anew(50, 1, 0), drawn_anew(50, 1, 1));
}

// An item is left out of n draws with probability (1 - 1/n)^n, 0.3660 for n = 100: over 400
// resamples 146.4 times, each with a deviation of sqrt(400 · 0.366 · 0.634) = 9.6.
TEST(DrawnAnew, AreWithReplacement) {
  double left_out = 0.0;
  std::vector<int> seen(100, 0);
  for (std::uint64_t r = 0; r < 400; ++r) {
    const auto items = drawn_anew(100, 5, r);
    const std::set<std::size_t> different(items.begin(), items.end());
    left_out += (100.0 - static_cast<double>(different.size())) / 400.0;
    for (const std::size_t i : items) ++seen[i];
  }
  EXPECT_TRUE(is_close(left_out, 36.6, 2.0));
  // 400 times each on average, deviation 20: the first and the last item as often as the others.
  EXPECT_TRUE(is_close(seen.front(), 400, 100));
  EXPECT_TRUE(is_close(seen.back(), 400, 100));
}

std::vector<double> first_numbers(int n) {
  std::vector<double> numbers(static_cast<std::size_t>(n));
  std::iota(numbers.begin(), numbers.end(), 0.0);
  return numbers;
}

TEST(Middle95, OfAThousandLeavesTwentyFiveOnEachSide) {
  const Interval ends = middle_95(first_numbers(1000));
  EXPECT_EQ(ends.low, 25.0);
  EXPECT_EQ(ends.high, 974.0);
}

TEST(Middle95, TheOrderDoesNotMatter) {
  std::vector<double> figures = first_numbers(200);
  std::ranges::rotate(figures, figures.begin() + 77);
  std::swap(figures[3], figures[190]);
  EXPECT_EQ(middle_95(figures).low, 5.0);
  EXPECT_EQ(middle_95(figures).high, 194.0);
}

TEST(Middle95, OfFewLeavesNothingOut) {
  EXPECT_EQ(middle_95({3.0}).low, 3.0);
  EXPECT_EQ(middle_95({3.0}).high, 3.0);
  const Interval ends = middle_95({7.0, 3.0, 5.0});
  EXPECT_EQ(ends.low, 3.0);
  EXPECT_EQ(ends.high, 7.0);
  EXPECT_THROW(middle_95({}), std::invalid_argument);
}

TEST(Middle95, ANaNIsNotHidden) {
  std::vector<double> figures = first_numbers(1000);
  figures[500] = kNan;
  EXPECT_TRUE(std::isnan(middle_95(figures).low));
  EXPECT_TRUE(std::isnan(middle_95(figures).high));
  figures[500] = kInfinity;  // that has a place among the others
  EXPECT_EQ(middle_95(figures).low, 25.0);
  EXPECT_EQ(middle_95(figures).high, 975.0);
}

// The statistic is called with each resample, and its figures are what the interval is of. It takes
// so many values that no other set of resamples has the same ends.
TEST(Bootstrap, IsTheMiddleOfTheResamplesFigures) {
  const auto sum_of_roots = [](std::span<const std::size_t> items) {
    double sum = 0.0;
    for (const std::size_t i : items) sum += std::sqrt(static_cast<double>(i));
    return sum;
  };
  std::vector<double> figures;
  for (std::uint64_t r = 0; r < kResamples; ++r) {
    figures.push_back(sum_of_roots(drawn_anew(60, 9, r)));
  }
  const Interval expected = middle_95(figures);
  const Interval ends = bootstrap(60, 9, sum_of_roots);
  EXPECT_EQ(ends.low, expected.low);
  EXPECT_EQ(ends.high, expected.high);
  EXPECT_LT(ends.low, ends.high);
}

TEST(Bootstrap, RefusesNoItemsAndTooMany) {
  const auto zero = [](std::span<const std::size_t>) { return 0.0; };
  EXPECT_THROW(bootstrap(0, 1, zero), std::invalid_argument);
  EXPECT_THROW(bootstrap(std::size_t{1} << 32, 1, zero), std::invalid_argument);
}

std::vector<double> normal_values(std::size_t n, std::uint64_t stream) {
  std::vector<double> values(n);
  for (std::size_t i = 0; i < n; ++i) values[i] = Random{17, stream}.normal(i);
  return values;
}

TEST(BootstrapMean, ACertainFigureHasAnIntervalOfNoWidth) {
  const Interval ends = bootstrap_mean(std::vector<double>(50, 3.0), 4);
  EXPECT_EQ(ends.low, 3.0);
  EXPECT_EQ(ends.high, 3.0);
}

// A mean of n values of deviation 1 has a standard error of 1 / sqrt(n); the interval is 2 · 1.96
// of them wide. A width of 1,000 resamples varies by some 4 %, the deviation of n values by 1 /
// sqrt(2n).
TEST(BootstrapMean, IsAsWideAsTheNormalOne) {
  for (const std::size_t n : {100u, 400u, 1600u}) {
    const Interval ends = bootstrap_mean(normal_values(n, n), n);
    const double expected = 2.0 * 1.96 / std::sqrt(static_cast<double>(n));
    EXPECT_TRUE(is_close(ends.high - ends.low, expected, 0.0, 0.2)) << n;
  }
}

// 200 samples of 100 absolute normals, whose mean is sqrt(2/pi): a 95 % interval misses in 10 of
// them on average. 22 misses are beyond four deviations, sqrt(200 · 0.05 · 0.95) = 3.1; the
// percentile interval of a skewed figure covers a little less than it says.
TEST(BootstrapMean, CoversTheTruth) {
  const double truth = std::sqrt(2.0 / 3.14159265358979);
  int missed = 0;
  double width = 0.0;
  for (std::uint64_t sample = 0; sample < 200; ++sample) {
    std::vector<double> errors = normal_values(100, sample);
    for (double& e : errors) e = std::abs(e);
    const Interval ends = bootstrap_mean(errors, sample);
    missed += truth < ends.low || truth > ends.high ? 1 : 0;
    width += (ends.high - ends.low) / 200.0;
  }
  EXPECT_LE(missed, 22);
  EXPECT_GE(missed, 1);
  // Two times 1.96 standard errors: deviation sqrt(1 - 2/pi) = 0.603 over sqrt(100).
  EXPECT_TRUE(is_close(width, 2 * 1.96 * 0.0603, 0.02));
}

TEST(BootstrapRatio, WithEqualWeightsIsThatOfTheMean) {
  const std::vector<double> values = normal_values(80, 1);
  std::vector<double> sums = values;
  for (double& s : sums) s *= 2.0;
  const Interval mean = bootstrap_mean(values, 6);
  const Interval ratio = bootstrap_ratio(sums, std::vector<double>(80, 2.0), 6);
  EXPECT_TRUE(is_close(ratio.low, mean.low, 1e-14));
  EXPECT_TRUE(is_close(ratio.high, mean.high, 1e-14));
}

// Every row has 2 nats a token, however many tokens: nothing is uncertain about that.
TEST(BootstrapRatio, WeightsAreDrawnWithTheirSums) {
  std::vector<double> sums, tokens;
  for (int i = 1; i < 60; ++i) {
    tokens.push_back(i);
    sums.push_back(2.0 * i);
  }
  const Interval ends = bootstrap_ratio(sums, tokens, 3);
  EXPECT_TRUE(is_close(ends.low, 2.0, 1e-14));
  EXPECT_TRUE(is_close(ends.high, 2.0, 1e-14));
}

// One long row at 1 nat a token among 39 short ones at 3: Σ / Σ is 1.1, and while the long row is
// drawn at least once it stays below 3. It is left out of 36 % of the resamples, whose figure is 3.
TEST(BootstrapRatio, LongRowsCountByTheirWeight) {
  std::vector<double> sums(40, 3.0), tokens(40, 1.0);
  sums[7] = tokens[7] = 1000.0;
  const Interval ends = bootstrap_ratio(sums, tokens, 3);
  EXPECT_LT(ends.low, 1.1);
  EXPECT_EQ(ends.high, 3.0);
}

TEST(BootstrapRatio, RefusesWeightsThatAreNone) {
  const std::vector<double> one = {1.0}, two = {1.0, 2.0}, zero = {0.0}, nan = {kNan};
  EXPECT_THROW(bootstrap_ratio(one, two, 1), std::invalid_argument);
  EXPECT_THROW(bootstrap_ratio(one, zero, 1), std::invalid_argument);
  EXPECT_THROW(bootstrap_ratio(one, nan, 1), std::invalid_argument);
  EXPECT_THROW(bootstrap_ratio({}, {}, 1), std::invalid_argument);
}

}  // namespace
}  // namespace qlora
