// Learning-rate schedules and the rounding of their warm-up.
#include "training/schedule.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "support/matcher.h"

namespace qlora {
namespace {

using testing::is_close;
using enum LrScheduler;

constexpr double kRounding = 1e-15;  // a few operations in double on numbers up to 1

TEST(Warmup, FromOneOnItIsANumberOfSteps) {
  EXPECT_EQ(warmup_steps(17.0, 170), 17);
  EXPECT_EQ(warmup_steps(1.0, 170), 1);
  EXPECT_EQ(warmup_steps(300.0, 170), 300);
  EXPECT_EQ(warmup_steps(0.0, 170), 0);
}

TEST(Warmup, BelowOneItIsAShareOfAllSteps) {
  EXPECT_EQ(warmup_steps(0.1, 170), 17);
  EXPECT_EQ(warmup_steps(0.5, 10), 5);
}

// 56.25, 0.7 and 7.000000000000001: upwards, as transformers rounds.
TEST(Warmup, AShareIsRoundedUp) {
  EXPECT_EQ(warmup_steps(0.03, 1875), 57);
  EXPECT_EQ(warmup_steps(0.1, 7), 1);
  EXPECT_EQ(warmup_steps(0.07, 100), 8);
}

TEST(Schedule, WarmupRisesFromZeroInEqualSteps) {
  for (const LrScheduler kind : {linear, cosine, constant_with_warmup}) {
    EXPECT_EQ(lr_factor(kind, 0, 17, 170), 0.0);
    for (std::int64_t s = 1; s < 17; ++s) {
      EXPECT_TRUE(is_close(lr_factor(kind, s, 17, 170), static_cast<double>(s) / 17, kRounding));
    }
  }
}

TEST(Schedule, ThePeakIsTheFirstStepBehindTheWarmup) {
  for (const LrScheduler kind : {linear, cosine, constant_with_warmup}) {
    EXPECT_EQ(lr_factor(kind, 17, 17, 170), 1.0);
    EXPECT_LT(lr_factor(kind, 16, 17, 170), 1.0);
  }
}

TEST(Schedule, WithoutWarmupTheFirstStepHasTheWholeRate) {
  for (const LrScheduler kind : {linear, cosine, constant, constant_with_warmup}) {
    EXPECT_EQ(lr_factor(kind, 0, 0, 10), 1.0);
  }
}

TEST(Schedule, LinearFallsToZeroOverTheStepsThatAreLeft) {
  EXPECT_TRUE(is_close(lr_factor(linear, 50, 3, 100), 50.0 / 97, kRounding));
  EXPECT_TRUE(is_close(lr_factor(linear, 99, 3, 100), 1.0 / 97, kRounding));
  EXPECT_EQ(lr_factor(linear, 100, 3, 100), 0.0);
  EXPECT_EQ(lr_factor(linear, 107, 3, 100), 0.0);
}

TEST(Schedule, CosineAtTheQuartersOfWhatIsLeft) {
  const auto at = [](std::int64_t s) { return lr_factor(cosine, s, 20, 100); };
  EXPECT_EQ(at(20), 1.0);
  EXPECT_TRUE(is_close(at(40), (2 + std::numbers::sqrt2) / 4, kRounding));
  EXPECT_TRUE(is_close(at(60), 0.5, kRounding));
  EXPECT_TRUE(is_close(at(80), (2 - std::numbers::sqrt2) / 4, kRounding));
  EXPECT_TRUE(is_close(at(100), 0.0, kRounding));
}

TEST(Schedule, ConstantIgnoresItsWarmup) {
  for (const std::int64_t s : {0, 1, 5, 99}) EXPECT_EQ(lr_factor(constant, s, 10, 100), 1.0);
}

TEST(Schedule, ConstantWithWarmupStaysAtThePeak) {
  for (const std::int64_t s : {10, 50, 99, 200}) {
    EXPECT_EQ(lr_factor(constant_with_warmup, s, 10, 100), 1.0);
  }
}

TEST(Schedule, NothingButWarmup) {
  for (const LrScheduler kind : {linear, cosine}) {
    EXPECT_TRUE(is_close(lr_factor(kind, 9, 10, 10), 0.9, kRounding));
    const double end = lr_factor(kind, 10, 10, 10);
    EXPECT_TRUE(std::isfinite(end)) << end;
  }
}

}  // namespace
}  // namespace qlora
