// Wilson's interval, against its definition tried on a fine grid, and binomial sums over all
// outcomes.
#include "wilson.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "support/matcher.h"

namespace qlora {
namespace {

using testing::is_close;

constexpr double kZ = 1.96;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// The sides of the definition at an end that is neither 0 nor 1 are equal: a few roundings of
// numbers below 1, through a root.
void expect_on_the_edge(double p, std::int64_t hits, std::int64_t n, double z) {
  const double h = static_cast<double>(hits) / static_cast<double>(n);
  const double reach = z * std::sqrt(p * (1.0 - p) / static_cast<double>(n));
  EXPECT_TRUE(is_close(std::abs(h - p), reach, 1e-12)) << hits << " of " << n << ", z " << z;
}

TEST(Wilson, BothEndsAreOnTheEdge) {
  for (const double z : {0.5, 1.0, kZ, 3.0}) {
    for (const std::int64_t n : {2, 7, 100, 4999}) {
      for (const std::int64_t hits : {std::int64_t{1}, n / 2, n - 1}) {
        const Interval ends = wilson(hits, n, z);
        expect_on_the_edge(ends.low, hits, n, z);
        expect_on_the_edge(ends.high, hits, n, z);
      }
    }
  }
}

TEST(Wilson, HoldsTheShareThatWasSeen) {
  for (const std::int64_t hits : {1, 5, 12, 19}) {
    const Interval ends = wilson(hits, 20, kZ);
    EXPECT_LT(ends.low, static_cast<double>(hits) / 20.0);
    EXPECT_GT(ends.high, static_cast<double>(hits) / 20.0);
    EXPECT_GT(ends.low, 0.0);
    EXPECT_LT(ends.high, 1.0);
  }
}

// Of rates p, n = 1 and z = 1: |1 − p| <= sqrt(p (1 − p)) where 1 − p <= p, from 1/2 on.
TEST(Wilson, ByHand) {
  EXPECT_TRUE(is_close(wilson(1, 1, 1.0).low, 0.5, 1e-12));
  EXPECT_EQ(wilson(1, 1, 1.0).high, 1.0);
  EXPECT_TRUE(is_close(wilson(0, 1, 1.0).high, 0.5, 1e-12));
  // h = 1/2: (1/2 − p)² = 4 p (1 − p) / 16, so 20 p² − 20 p + 4 = 0.
  EXPECT_TRUE(is_close(wilson(8, 16, 2.0).low, 0.5 - std::sqrt(0.05), 1e-12));
  EXPECT_TRUE(is_close(wilson(8, 16, 2.0).high, 0.5 + std::sqrt(0.05), 1e-12));
}

// p (1 − p) / n · z² = p² at the upper end, so p = z² / (n + z²): 16.1 % for none of twenty.
TEST(Wilson, NoHitIsNotCertainty) {
  const Interval none = wilson(0, 20, kZ), all = wilson(20, 20, kZ);
  EXPECT_EQ(none.low, 0.0);
  EXPECT_TRUE(is_close(none.high, kZ * kZ / (20.0 + kZ * kZ), 1e-12));
  EXPECT_EQ(all.high, 1.0);
  EXPECT_TRUE(is_close(all.low, 1.0 - none.high, 1e-12));
}

TEST(Wilson, HitsAndMissesMirrorEachOther) {
  for (const std::int64_t hits : {0, 3, 11, 30}) {
    const Interval ends = wilson(hits, 37, kZ), mirrored = wilson(37 - hits, 37, kZ);
    EXPECT_TRUE(is_close(ends.low, 1.0 - mirrored.high, 1e-12)) << hits;
    EXPECT_TRUE(is_close(ends.high, 1.0 - mirrored.low, 1e-12)) << hits;
  }
}

// With more items at the same share the interval closes in on h ± z · sqrt(h (1 − h) / n).
TEST(Wilson, ManyItemsComeToTheNormalInterval) {
  const std::int64_t n = 1'000'000;
  const Interval ends = wilson(n / 5, n, kZ);
  const double reach = kZ * std::sqrt(0.2 * 0.8 / static_cast<double>(n));
  // The two differ by terms of z²/n, some 4e-6.
  EXPECT_TRUE(is_close(ends.low, 0.2 - reach, 1e-5));
  EXPECT_TRUE(is_close(ends.high, 0.2 + reach, 1e-5));
  EXPECT_GT(wilson(4, 20, kZ).high - wilson(4, 20, kZ).low, 200 * reach);
}

TEST(Wilson, RefusesWhatIsNoCount) {
  EXPECT_THROW(wilson(0, 0, kZ), std::invalid_argument);
  EXPECT_THROW(wilson(-1, 5, kZ), std::invalid_argument);
  EXPECT_THROW(wilson(6, 5, kZ), std::invalid_argument);
  EXPECT_THROW(wilson(1, 5, 0.0), std::invalid_argument);
  EXPECT_THROW(wilson(1, 5, kNan), std::invalid_argument);
}

// All 2^n outcomes of n items, one after the other; whether the rate is in the interval is asked as
// the definition asks.
double coverage_by_outcomes(double rate, unsigned n, double z) {
  double covered = 0.0;
  for (unsigned outcome = 0; outcome < 1u << n; ++outcome) {
    const auto hits = static_cast<double>(std::popcount(outcome));
    const double h = hits / n;
    if (std::abs(h - rate) > z * std::sqrt(rate * (1.0 - rate) / n)) continue;
    covered += std::pow(rate, hits) * std::pow(1.0 - rate, n - hits);
  }
  return covered;
}

TEST(WilsonCoverage, EqualsTheSumOverAllOutcomes) {
  for (const double rate : {0.03, 0.2, 0.47, 0.9}) {
    for (const unsigned n : {1u, 2u, 10u, 14u}) {
      for (const double z : {1.0, kZ}) {
        EXPECT_TRUE(is_close(wilson_coverage(rate, n, z), coverage_by_outcomes(rate, n, z), 1e-10))
            << rate << " " << n << " " << z;
      }
    }
  }
}

TEST(WilsonCoverage, OfACertainRateIsCertain) {
  EXPECT_EQ(wilson_coverage(0.0, 30, kZ), 1.0);
  EXPECT_EQ(wilson_coverage(1.0, 30, kZ), 1.0);
}

// De Moivre: for many items it is the normal distribution's share within z deviations, erf(z/√2),
// 0.950004 for 1.96; a lattice of n outcomes is off by less than the largest of their
// probabilities, 1 / sqrt(2 π n rate (1 − rate)) = 0.011.
TEST(WilsonCoverage, OfManyItemsIsWhatItSays) {
  const double coverage = wilson_coverage(0.3, 5000, kZ);
  EXPECT_TRUE(is_close(coverage, std::erf(kZ / std::sqrt(2.0)), 0.012 * 2));
  EXPECT_LE(coverage, 1.0);
  EXPECT_TRUE(is_close(wilson_coverage(0.5, 4000, 6.0), 1.0, 1e-7)) << "the probabilities sum to 1";
}

// A hit rate of 3 % and ten items: 0 or 1 hits are in reach, as the definition says of the others:
// 0.97^10 + 10 · 0.03 · 0.97^9.
TEST(WilsonCoverage, OfARareHitByHand) {
  EXPECT_TRUE(is_close(wilson_coverage(0.03, 10, kZ),
                       std::pow(0.97, 10) + 10 * 0.03 * std::pow(0.97, 9), 1e-12));
}

TEST(WilsonCoverage, RefusesWhatIsNoRate) {
  EXPECT_THROW(wilson_coverage(-0.1, 5, kZ), std::invalid_argument);
  EXPECT_THROW(wilson_coverage(1.1, 5, kZ), std::invalid_argument);
  EXPECT_THROW(wilson_coverage(kNan, 5, kZ), std::invalid_argument);
  EXPECT_THROW(wilson_coverage(0.5, 0, kZ), std::invalid_argument);
  EXPECT_THROW(wilson_coverage(0.5, 5, 0.0), std::invalid_argument);
}

}  // namespace
}  // namespace qlora
