// Attention with linear biases, against the slow oracle and finite differences.
#include "alibi.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "slow_alibi.h"
#include "support/finite_difference.h"
#include "support/matcher.h"

namespace qlora {
namespace {

using testing::all_close;
using testing::normal_tensor;

constexpr double kRounding = 1e-12;  // sums of up to 40 products of numbers up to 5, in double

struct Example {
  AlibiShape s;
  Tensor q, k, v;

  explicit Example(const AlibiShape& shape)
      : s(shape),
        q(normal_tensor({s.T, s.H * s.D}, 1)),
        k(normal_tensor({s.S, s.K * s.D}, 2)),
        v(normal_tensor({s.S, s.K * s.D}, 3)) {}

  Tensor attended() const {
    Tensor out = Tensor::empty(DType::f64, q.shape());
    for (double& x : out.span<double>()) x = std::numeric_limits<double>::quiet_NaN();
    alibi_attention(s, q.data<double>(), k.data<double>(), v.data<double>(), out.data<double>());
    return out;
  }
  Tensor slowly(const std::vector<double>& slopes) const {
    Tensor out = Tensor::empty(DType::f64, q.shape());
    slow_alibi::attention(s, slopes, q.data<double>(), k.data<double>(), v.data<double>(),
                          out.data<double>());
    return out;
  }
};

TEST(Alibi, SlopesOfEightHeadsByHand) {
  const std::vector<double> expected{1.0 / 2,  1.0 / 4,  1.0 / 8,   1.0 / 16,
                                     1.0 / 32, 1.0 / 64, 1.0 / 128, 1.0 / 256};
  EXPECT_TRUE(all_close(alibi_slopes(8), expected, 0, 1e-14));
}

TEST(Alibi, SlopesEndAtOneIn256) {
  for (const std::int64_t H : {1, 2, 4, 16, 32, 64}) {
    const std::vector<double> slopes = alibi_slopes(H);
    ASSERT_EQ(slopes.size(), static_cast<std::size_t>(H));
    EXPECT_NEAR(slopes.back(), 1.0 / 256, 1e-13) << H;
    EXPECT_TRUE(all_close(slopes, slow_alibi::slopes(H), 0, 1e-13)) << H;
  }
}

TEST(Alibi, SlopesOfSixHeadsByHand) {
  // Those of four heads, then the first and the third of eight.
  const std::vector<double> expected{1.0 / 4, 1.0 / 16, 1.0 / 64, 1.0 / 256, 1.0 / 2, 1.0 / 8};
  EXPECT_TRUE(all_close(alibi_slopes(6), expected, 0, 1e-14));
}

TEST(Alibi, SlopesOfOtherNumbersOfHeads) {
  for (const std::int64_t H : {3, 5, 7, 12, 24, 112}) {
    EXPECT_TRUE(all_close(alibi_slopes(H), slow_alibi::slopes(H), 0, 1e-13)) << H;
  }
}

TEST(Alibi, EqualScoresFallOffWithTheDistance) {
  // One head: the slope is 1/256. With q = 0 the weights are e^(−distance/256) over their sum.
  Example e({3, 3, 1, 1, 1});
  e.q.zero();
  e.v = Tensor::from<double>(std::vector<double>{1, 0, 0}, {3, 1});
  const double a = std::exp(-1.0 / 256), b = std::exp(-2.0 / 256);
  const std::vector<double> expected{1.0, a / (1.0 + a), b / (1.0 + a + b)};
  EXPECT_TRUE(all_close(e.attended().span<double>(), expected, kRounding));
}

TEST(Alibi, FollowsItsDefinition) {
  for (const AlibiShape& s : {AlibiShape{7, 7, 2, 2, 4}, AlibiShape{33, 33, 4, 4, 3}}) {
    const Example e(s);
    EXPECT_TRUE(all_close(e.attended(), e.slowly(slow_alibi::slopes(s.H)), kRounding));
  }
}

TEST(Alibi, GroupsOfHeadsShareKeysButNotSlopes) {
  const Example e({5, 5, 6, 2, 3});
  EXPECT_TRUE(all_close(e.attended(), e.slowly(slow_alibi::slopes(6)), kRounding));
  // In a group all queries alike: heads differ by their slopes alone.
  Example alike({9, 9, 2, 1, 2});
  for (std::int64_t t = 0; t < 9; ++t) {
    double* q = alike.q.data<double>() + t * 4;
    q[2] = q[0];
    q[3] = q[1];
  }
  const Tensor out = alike.attended();
  EXPECT_GT(std::abs(out.data<double>()[8 * 4] - out.data<double>()[8 * 4 + 2]), 1e-4);
}

TEST(Alibi, NewTokensStandBehindTheCachedOnes) {
  const Example whole({8, 8, 2, 1, 3});
  const Tensor all = whole.attended();
  Example last({2, 8, 2, 1, 3});
  last.q = whole.q.rows(6, 8).clone();
  EXPECT_TRUE(all_close(last.attended(), all.rows(6, 8), kRounding));
}

TEST(Alibi, NoTokenSeesALaterOne) {
  const Example e({6, 6, 2, 2, 2});
  const Tensor before = e.attended();
  for (const Tensor& t : {e.k, e.v}) {
    for (double& x : t.rows(4, 6).span<double>()) x = 5.0 - x;
  }
  EXPECT_TRUE(all_close(e.attended().rows(0, 4), before.rows(0, 4), 0.0));
}

TEST(Alibi, LargeScoresDoNotOverflow) {
  const Example e({4, 4, 1, 1, 4});
  for (double& x : e.q.span<double>()) x *= 1e4;
  const Tensor out = e.attended();
  for (const double x : out.span<double>()) EXPECT_TRUE(std::isfinite(x));
}

// The slopes are not inputs of alibi_attention: the oracle, which takes them, is moved instead.
TEST(Alibi, SlopeGradientMatchesFiniteDifferences) {
  const Example e({6, 9, 4, 2, 3});
  const Tensor w = normal_tensor(e.q.shape(), 4);
  std::vector<double> gradient(4, 0.0);
  alibi_slope_gradient(e.s, e.q.data<double>(), e.k.data<double>(), e.v.data<double>(),
                       w.data<double>(), gradient.data());
  const Tensor slopes = Tensor::from<double>(slow_alibi::slopes(4), {4});
  const auto loss = [&] {
    const auto at = slopes.span<double>();
    return testing::weighted_sum(e.slowly(std::vector<double>(at.begin(), at.end())), w);
  };
  EXPECT_TRUE(
      testing::matches_finite_differences(loss, slopes, Tensor::from<double>(gradient, {4})));
}

TEST(Alibi, SlopeGradientIsAddedToWhatIsThere) {
  const Example e({5, 5, 2, 1, 3});
  const Tensor w = normal_tensor(e.q.shape(), 4);
  std::vector<double> zero(2, 0.0), more(2, 1.5);
  for (std::vector<double>* gradient : {&zero, &more}) {
    alibi_slope_gradient(e.s, e.q.data<double>(), e.k.data<double>(), e.v.data<double>(),
                         w.data<double>(), gradient->data());
  }
  for (double& g : zero) g += 1.5;
  EXPECT_TRUE(all_close(more, zero, kRounding));
}

}  // namespace
}  // namespace qlora
