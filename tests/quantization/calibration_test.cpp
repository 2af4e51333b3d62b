#include "quantization/calibration.h"

#include "fixtures.h"
#include "support/matcher.h"

namespace qlora {
namespace {

using testing::Floats;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

// 0, 1, …, 100 in an order that is not sorted: 37 has no common divisor with 101.
Floats percents() {
  Floats x(101);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i * 37 % 101);
  return x;
}

TEST(Percentile, LeavesHalfOfTheRestOutAtEachEnd) {
  const Range middle = percentile_range(percents(), 80.0);
  EXPECT_FLOAT_EQ(middle.min, 10.0f);
  EXPECT_FLOAT_EQ(middle.max, 90.0f);
  const Range quarter = percentile_range(percents(), 50.0);
  EXPECT_EQ(quarter.min, 25.0f);
  EXPECT_EQ(quarter.max, 75.0f);
}

TEST(Percentile, InterpolatesBetweenTwoValues) {
  // Places 0.3 and 2.7 of the sorted values -8, 0, 2, 10.
  const Range range = percentile_range(Floats{2.0f, -8.0f, 10.0f, 0.0f}, 80.0);
  EXPECT_FLOAT_EQ(range.min, -5.6f);
  EXPECT_FLOAT_EQ(range.max, 7.6f);
}

TEST(Percentile, HundredIsMinMax) {
  for (const auto& [name, x] : testing::shapes_of_data(257)) {
    SCOPED_TRACE(name);
    const Range range = percentile_range(x, 100.0);
    EXPECT_EQ(range.min, min_max_range(x).min);
    EXPECT_EQ(range.max, min_max_range(x).max);
  }
}

TEST(Percentile, IgnoresNaNAndStandsOnOneValue) {
  const Range range = percentile_range(Floats{kNaN, 4.0f, kNaN, -2.0f, kNaN}, 100.0);
  EXPECT_EQ(range.min, -2.0f);
  EXPECT_EQ(range.max, 4.0f);
  EXPECT_EQ(percentile_range(Floats{3.0f}, 50.0).max, 3.0f);
  EXPECT_EQ(percentile_range({}, 50.0).min, 0.0f);
  EXPECT_EQ(percentile_range(Floats{kNaN}, 50.0).max, 0.0f);
}

TEST(Percentile, AnInfiniteValueBeyondTheEndsDoesNoHarm) {
  Floats x = percents();
  x[7] = -kInfinity;
  x[8] = kInfinity;
  const Range range = percentile_range(x, 98.0);  // places 1 and 99
  EXPECT_TRUE(std::isfinite(range.min));
  EXPECT_TRUE(std::isfinite(range.max));
  EXPECT_EQ(percentile_range(x, 100.0).max, kInfinity);
}

TEST(Percentile, RefusesWhatIsNoPercentage) {
  for (const double percent : {0.0, -1.0, 100.1, std::nan("")}) {
    EXPECT_THROW(percentile_range(Floats{1.0f, 2.0f}, percent), std::invalid_argument) << percent;
  }
}

TEST(SquaredError, IsTheSumOverRestoredValues) {
  // Scale 1: 0.25 and 0.5 away, exact, and 3 beyond the end.
  const Floats x{0.25f, 1.5f, 7.0f, 258.0f, kNaN};
  EXPECT_DOUBLE_EQ(squared_error<std::uint8_t>(x, {0.0f, 255.0f}), 0.0625 + 0.25 + 9.0);
  // int8 has the same 256 codes
  EXPECT_DOUBLE_EQ(squared_error<std::int8_t>(x, {0.0f, 255.0f}), 0.0625 + 0.25 + 9.0);
}

TEST(SquaredError, OfUniformDataIsATwelfthOfAStepSquared) {
  Floats x(100000);
  for (std::size_t i = 0; i < x.size(); ++i) {
    x[i] = 1000.0f * static_cast<float>(i) / static_cast<float>(x.size() - 1);
  }
  const double step = 1000.0 / 255.0;
  const double mean =
      squared_error<std::uint8_t>(x, {0.0f, 1000.0f}) / static_cast<double>(x.size());
  // 392 values a step: the sum over them is the integral to 1/392², and float32 adds 1000 · 2^-24
  EXPECT_TRUE(testing::is_close(mean, step * step / 12.0, 0.0, 1e-3));
}

// The least error over all ranges that mse_range looks at, by looking at them.
template <typename Int>
double least_error(const Floats& x, int steps) {
  const Range all = min_max_range(x);
  double least = INFINITY;
  for (int k = 1; k <= steps; ++k) {
    const float share = static_cast<float>(k) / static_cast<float>(steps);
    least = std::min(least, squared_error<Int>(x, {all.min * share, all.max * share}));
  }
  return least;
}

TEST(MseRange, HasTheLeastErrorOfAllCandidates) {
  for (const auto& [name, x] : testing::shapes_of_data(513)) {
    SCOPED_TRACE(name);
    for (const int steps : {1, 7, 100}) {
      EXPECT_EQ(squared_error<std::uint8_t>(x, mse_range<std::uint8_t>(x, steps)),
                least_error<std::uint8_t>(x, steps));
      EXPECT_EQ(squared_error<std::int8_t>(x, mse_range<std::int8_t>(x, steps)),
                least_error<std::int8_t>(x, steps));
    }
  }
}

TEST(MseRange, LooksAtEveryCandidate) {
  // Steps of 260 / 255 suit 52 but not 25; steps of 1 suit both and leave 260 outside by 5. The
  // errors from 260 / 260 down are 72, 75, 142, 137, 48, 25 (the best), 68 and more.
  Floats x(300, 25.0f);
  x.insert(x.end(), 700, 52.0f);
  x.push_back(260.0f);
  EXPECT_FLOAT_EQ(mse_range<std::uint8_t>(x, 260).max, 255.0f);
}

TEST(MseRange, ShrinksBothEndsByTheSameShare) {
  Floats x = testing::normal_values(20000, 11);
  x[500] = -12.0f;
  x[501] = 9.0f;
  const Range range = mse_range<std::int8_t>(x);
  EXPECT_LT(range.max, 9.0f);
  EXPECT_FLOAT_EQ(range.min / -12.0f, range.max / 9.0f);
  const float hundredths = range.max / 9.0f * 100.0f;
  EXPECT_NEAR(hundredths, std::round(hundredths), 1e-4);
}

TEST(MseRange, KeepsAllOfItWhereNothingIsGained) {
  // Every code hit exactly: the error is zero, and a narrower range can only add some.
  Floats ramp(256);
  for (std::size_t i = 0; i < ramp.size(); ++i) ramp[i] = static_cast<float>(i);
  const Range range = mse_range<std::uint8_t>(ramp);
  EXPECT_EQ(range.min, 0.0f);
  EXPECT_EQ(range.max, 255.0f);
  const Range zeros = mse_range<std::uint8_t>(Floats(3, 0.0f));
  EXPECT_EQ(zeros.max, 0.0f);
  // Too small for any scale, all restored as 0: every range is equally good, the widest is taken.
  EXPECT_EQ(mse_range<std::uint8_t>(Floats{0.0f, 1e-40f}).max, 1e-40f);
}

TEST(MseRange, RefusesWhatItCannotSearch) {
  EXPECT_THROW(mse_range<std::uint8_t>(Floats{1.0f}, 0), std::invalid_argument);
  EXPECT_THROW(mse_range<std::uint8_t>(Floats{1.0f, kInfinity}), std::invalid_argument);
}

}  // namespace
}  // namespace qlora
