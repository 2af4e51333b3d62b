#include "core/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "support/matcher.h"

namespace qlora {
namespace {

using testing::is_close;

// The three lines "philox4x32 10" of tests/kat_vectors in Random123, the authors' own library:
// counter words 0 to 3, key words 0 and 1, result.
struct KnownAnswer {
  std::uint32_t counter[4], key[2], result[4];
};
constexpr KnownAnswer kKnown[] = {
    {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
    {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
     {0xffffffff, 0xffffffff},
     {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
    {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
     {0xa4093822, 0x299f31d0},
     {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}};

std::uint64_t joined(std::uint32_t low, std::uint32_t high) {
  return (std::uint64_t{high} << 32) | low;
}

TEST(Philox, GivesTheKnownAnswers) {
  for (const KnownAnswer& k : kKnown) {
    const Philox p = philox(joined(k.key[0], k.key[1]), joined(k.counter[2], k.counter[3]),
                            joined(k.counter[0], k.counter[1]));
    for (int i = 0; i < 4; ++i) EXPECT_EQ(p.word[i], k.result[i]);
  }
}

TEST(Random, IsAFunctionOfSeedStreamAndIndex) {
  const Random a{.seed = 1, .stream = 2};
  const Random again{.seed = 1, .stream = 2};
  for (std::uint64_t i : {0ull, 1ull, 5ull, 1ull << 40}) {
    EXPECT_EQ(a.bits(i), again.bits(i));
    EXPECT_EQ(a.normal(i), again.normal(i));
  }
  int same = 0;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    same += a.bits(i) == Random{.seed = 2, .stream = 2}.bits(i);
    same += a.bits(i) == Random{.seed = 1, .stream = 3}.bits(i);
    same += a.bits(i) == a.bits(i + 1);
  }
  EXPECT_EQ(same, 0);  // three chances in 2^32 each: 7e-7 in all
}

TEST(Random, UniformNumbersHaveTheMomentsOfTheUniformDistribution) {
  constexpr int kN = 1 << 20;
  const Random random{.seed = 42};
  double sum = 0.0;
  double squares = 0.0;
  for (int i = 0; i < kN; ++i) {
    const double u = random.uniform(static_cast<std::uint64_t>(i));
    ASSERT_GE(u, 0.0);
    ASSERT_LT(u, 1.0);
    sum += u;
    squares += (u - 0.5) * (u - 0.5);
  }
  // Standard errors: sqrt(1/12 / n) of the mean, sqrt((1/80 - 1/144) / n) of the variance; five of
  // them.
  EXPECT_TRUE(is_close(sum / kN, 0.5, 5.0 * std::sqrt(1.0 / 12.0 / kN)));
  EXPECT_TRUE(is_close(squares / kN, 1.0 / 12.0, 5.0 * std::sqrt((1.0 / 80 - 1.0 / 144) / kN)));
}

TEST(Random, NormalNumbersHaveTheMomentsOfTheNormalDistribution) {
  constexpr int kN = 1 << 20;
  const Random random{.seed = 42, .stream = 7};
  double m1 = 0.0;
  double m2 = 0.0;
  double m3 = 0.0;
  double m4 = 0.0;
  for (int i = 0; i < kN; ++i) {
    const double x = random.normal(static_cast<std::uint64_t>(i));
    ASSERT_TRUE(std::isfinite(x));
    m1 += x;
    m2 += x * x;
    m3 += x * x * x;
    m4 += x * x * x * x;
  }
  // E[x^k] is 0, 1, 0, 3; the variances of x, x^2, x^3, x^4 are 1, 2, 15, 96. Five standard errors.
  EXPECT_TRUE(is_close(m1 / kN, 0.0, 5.0 * std::sqrt(1.0 / kN)));
  EXPECT_TRUE(is_close(m2 / kN, 1.0, 5.0 * std::sqrt(2.0 / kN)));
  EXPECT_TRUE(is_close(m3 / kN, 0.0, 5.0 * std::sqrt(15.0 / kN)));
  EXPECT_TRUE(is_close(m4 / kN, 3.0, 5.0 * std::sqrt(96.0 / kN)));
}

TEST(Random, BelowReachesEveryNumberAndNoOther) {
  const Random random{.seed = 3};
  std::vector<int> counts(7);
  constexpr int kN = 70'000;
  for (std::uint64_t i = 0; i < kN; ++i) ++counts.at(random.below(i, 7));
  // binomial: sqrt(n p (1 - p)) = 92.6; five of them
  for (int c : counts) EXPECT_TRUE(is_close(c, 10'000, 5 * 92.6));
  for (std::uint64_t i = 0; i < 100; ++i) EXPECT_EQ(random.below(i, 1), 0u);
  for (std::uint64_t i = 0; i < 100; ++i) EXPECT_LT(random.below(i, 0xffffffffu), 0xffffffffu);
}

TEST(Random, DropoutKeepsItsShare) {
  const Random random{.seed = 5};
  constexpr int kN = 100'000;
  int kept = 0;
  for (std::uint64_t i = 0; i < kN; ++i) {
    kept += random.keeps(i, 0.05f);
    ASSERT_TRUE(random.keeps(i, 0.0f));
    ASSERT_FALSE(random.keeps(i, 1.0f));
  }
  EXPECT_TRUE(is_close(kept, 0.95 * kN, 5.0 * std::sqrt(0.95 * 0.05 * kN)));
}

TEST(StreamOf, TellsItsArgumentsApart) {
  std::set<std::uint64_t> seen;
  for (std::uint64_t a : {0, 1, 2}) {
    for (std::uint64_t b : {0, 1, 2}) {
      for (std::uint64_t c : {0, 1, 2}) {
        for (std::uint64_t d : {0, 1, 2}) seen.insert(stream_of(a, b, c, d));
      }
    }
  }
  EXPECT_EQ(seen.size(), 81u);
  EXPECT_EQ(stream_of(1), stream_of(1, 0, 0, 0));
}

TEST(Permutation, IsOne) {
  for (std::int64_t n : {0, 1, 2, 17, 1000}) {
    auto order = permutation(Random{.seed = 9}, n);
    EXPECT_EQ(static_cast<std::int64_t>(order.size()), n);
    std::sort(order.begin(), order.end());
    for (std::int64_t i = 0; i < n; ++i) EXPECT_EQ(order[static_cast<std::size_t>(i)], i);
  }
  EXPECT_EQ(permutation(Random{.seed = 9}, 100), permutation(Random{.seed = 9}, 100));
  EXPECT_NE(permutation(Random{.seed = 9}, 100), permutation(Random{.seed = 10}, 100));
  EXPECT_THROW(permutation(Random{}, -1), std::invalid_argument);
  EXPECT_THROW(permutation(Random{}, std::int64_t{1} << 32), std::invalid_argument);
}

TEST(Permutation, EveryOrderIsAsLikely) {
  constexpr int kN = 60'000;
  std::vector<int> counts(9);  // which element came to which place, of three
  for (std::uint64_t seed = 0; seed < kN; ++seed) {
    const auto order = permutation(Random{.seed = seed}, 3);
    for (std::size_t place = 0; place < 3; ++place) {
      ++counts[place * 3 + static_cast<std::size_t>(order[place])];
    }
  }
  // binomial with p = 1/3: sqrt(n p (1 - p)) = 115.5; five of them
  for (int c : counts) EXPECT_TRUE(is_close(c, kN / 3.0, 5 * 115.5));
}

}  // namespace
}  // namespace qlora
