#include "evaluation/comparison.h"

#include <gtest/gtest.h>

#include <vector>

#include "core/random.h"
#include "support/matcher.h"

namespace qlora {
namespace {

using testing::is_close;

// Values of N(0, 1).
std::vector<double> normal_values(std::size_t n, std::uint64_t stream) {
  std::vector<double> values(n);
  for (std::size_t i = 0; i < n; ++i) values[i] = Random{23, stream}.normal(i);
  return values;
}

TEST(PairedDifference, ByHand) {
  const std::vector<double> base = {4.0, 10.0, 3.0, 5.0, 8.0}, tuned = {1.0, 12.0, 3.0, 4.0, 0.0};
  const Difference d = paired_difference(base, tuned, 1);
  EXPECT_TRUE(is_close(d.value, (-3.0 + 2.0 + 0.0 - 1.0 - 8.0) / 5.0, 1e-14));
  EXPECT_EQ(d.better, 0.6);
  EXPECT_EQ(d.equal, 0.2);
}

TEST(PairedDifference, BelowZeroTheTunedModelIsBetter) {
  const std::vector<double> large = {5.0, 6.0, 7.0}, small = {1.0, 2.0, 3.0};
  EXPECT_EQ(paired_difference(large, small, 1).value, -4.0);
  EXPECT_EQ(paired_difference(large, small, 1).better, 1.0);
  EXPECT_EQ(paired_difference(small, large, 1).value, 4.0);
  EXPECT_EQ(paired_difference(small, large, 1).better, 0.0);
}

TEST(PairedDifference, OfAModelAndItselfIsCertain) {
  const std::vector<double> errors = normal_values(50, 1);
  const Difference d = paired_difference(errors, errors, 1);
  EXPECT_EQ(d.value, 0.0);
  EXPECT_EQ(d.ci95.low, 0.0);
  EXPECT_EQ(d.ci95.high, 0.0);
  EXPECT_EQ(d.better, 0.0);
  EXPECT_EQ(d.equal, 1.0);
}

// Errors that vary by 100 from item to item, and a difference of 1 with a deviation of 0.1: the
// interval is 2 · 1.96 · 0.1 / sqrt(100) wide. Of two samples it would be 2 · 1.96 · sqrt(2) · 10.
TEST(PairedDifference, WhatIsHardForBothDoesNotWidenIt) {
  std::vector<double> base = normal_values(100, 2), tuned = normal_values(100, 3);
  for (std::size_t i = 0; i < 100; ++i) {
    base[i] = 1000.0 + 100.0 * base[i];
    tuned[i] = base[i] - 1.0 + 0.1 * tuned[i];
  }
  const Difference d = paired_difference(base, tuned, 1);
  EXPECT_LT(d.ci95.high, -0.9);
  EXPECT_GT(d.ci95.low, -1.1);
  EXPECT_TRUE(is_close(d.ci95.high - d.ci95.low, 0.0392, 0.0, 0.4));
}

TEST(PairedDifference, HoldsTheValueBetweenItsEnds) {
  const std::vector<double> base = normal_values(60, 4), tuned = normal_values(60, 5);
  const Difference d = paired_difference(base, tuned, 1);
  EXPECT_LT(d.ci95.low, d.value);
  EXPECT_GT(d.ci95.high, d.value);
  EXPECT_NE(paired_difference(base, tuned, 2).ci95.low, d.ci95.low);
  EXPECT_EQ(paired_difference(base, tuned, 1).ci95.low, d.ci95.low);
}

TEST(PairedDifference, WeightsAreOfTheItemsSums) {
  // Losses of rows of 1 and of 9 tokens: tuned saves 2 nats on the one and 3 on the other.
  const std::vector<double> base = {4.0, 9.0}, tuned = {2.0, 6.0}, tokens = {1.0, 9.0};
  const Difference d = paired_difference(base, tuned, tokens, 1);
  EXPECT_TRUE(is_close(d.value, -0.5, 1e-14));
  // A quarter of the resamples is twice the first row, a quarter twice the second.
  EXPECT_TRUE(is_close(d.ci95.low, -2.0, 1e-14));
  EXPECT_TRUE(is_close(d.ci95.high, -1.0 / 3.0, 1e-14));
  EXPECT_EQ(d.better, 1.0) << "a row counts once, however long it is";
}

TEST(PairedDifference, SharesAreOfTheItems) {
  const std::vector<double> base = {1.0, 1.0, 1.0, 1.0}, tuned = {0.0, 1.0, 1.0, 9.0};
  const std::vector<double> tokens = {1.0, 50.0, 1.0, 200.0};
  const Difference d = paired_difference(base, tuned, tokens, 1);
  EXPECT_EQ(d.better, 0.25);
  EXPECT_EQ(d.equal, 0.5);
}

TEST(PairedDifference, RefusesWhatIsNotPaired) {
  const std::vector<double> one = {1.0}, two = {1.0, 2.0}, none, zero = {0.0};
  EXPECT_THROW(paired_difference(one, two, 1), std::invalid_argument);
  EXPECT_THROW(paired_difference(none, none, 1), std::invalid_argument);
  EXPECT_THROW(paired_difference(one, one, two, 1), std::invalid_argument);
  EXPECT_THROW(paired_difference(one, one, zero, 1), std::invalid_argument);
}

}  // namespace
}  // namespace qlora
