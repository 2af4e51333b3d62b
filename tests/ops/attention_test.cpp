// Causal grouped-query attention on the CPU, against sums by definition.
#include "ops/attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "support/finite_difference.h"
#include "support/matcher.h"

namespace qlora {
namespace {

using testing::all_close;
using testing::normal_tensor;
using testing::same_bytes;

// Probabilities within 10 ulp, sums of up to 150 products of numbers up to 5: in double below
// 1e-12.
constexpr double kRounding = 1e-12;
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kNever = -std::numeric_limits<double>::infinity();

Tensor filled(Shape shape, double value) {
  Tensor t = Tensor::empty(DType::f64, std::move(shape));
  for (double& x : t.span<double>()) x = value;
  return t;
}

// q (B,T,H·D); k and v (B,S,K·D), each in a tensor of its own.
struct Example {
  AttentionShape s;
  Tensor q, k, v;
  std::vector<std::int32_t> segments = {};  // none: a row is one example

  explicit Example(const AttentionShape& shape)
      : s(shape),
        q(normal_tensor({s.B * s.T, s.H * s.D}, 1)),
        k(normal_tensor({s.B * s.S, s.K * s.D}, 2)),
        v(normal_tensor({s.B * s.S, s.K * s.D}, 3)) {}
};

struct Result {
  Tensor out, lse;
};

template <typename T>
cpu::Heads<T> heads(const Tensor& t, std::int64_t rows) {
  return {const_cast<T*>(t.data<std::remove_const_t<T>>()), t.dim(1), rows * t.dim(1)};
}

Result attended(const Example& e) {
  const AttentionShape& s = e.s;
  Result r{filled({s.B * s.T, s.H * s.D}, kNaN), filled({s.B, s.H, s.T}, kNaN)};
  cpu::attention_forward<double>(s, heads<const double>(e.q, s.T), heads<const double>(e.k, s.S),
                                 heads<const double>(e.v, s.S),
                                 e.segments.empty() ? nullptr : e.segments.data(),
                                 r.out.data<double>(), r.lse.data<double>());
  return r;
}

// Whether a query sees a key: it is not behind it, and both are of one example. A query of padding
// stands in no example, and what it gets means nothing.
bool sees(const Example& e, std::int64_t b, std::int64_t t, std::int64_t key) {
  if (key > e.s.S - e.s.T + t) return false;
  if (e.segments.empty()) return true;
  const std::int32_t* row = e.segments.data() + b * e.s.T;
  return row[key] != 0 && row[key] == row[t];
}

// The definition, in long double. Where a query sees nothing: zeros, and log 0.
Result by_definition(const Example& e) {
  const auto& [B, T, S, H, K, D] = e.s;
  Result r{filled({B * T, H * D}, 0.0), filled({B, H, T}, kNever)};
  for (std::int64_t i = 0; i < B * H * T; ++i) {
    const std::int64_t b = i / (H * T), h = i / T % H, t = i % T, kv = h / (H / K);
    const double* q = e.q.data<double>() + ((b * T + t) * H + h) * D;
    std::vector<long double> weight;
    long double sum = 0;
    for (std::int64_t key = 0; key < S; ++key) {
      const double* k = e.k.data<double>() + ((b * S + key) * K + kv) * D;
      long double score = 0;
      for (std::int64_t d = 0; d < D; ++d) score += static_cast<long double>(q[d]) * k[d];
      score /= std::sqrt(static_cast<long double>(D));
      weight.push_back(sees(e, b, t, key) ? std::exp(score) : 0.0L);
      sum += weight.back();
    }
    if (sum == 0) continue;
    r.lse.data<double>()[i] = static_cast<double>(std::log(sum));
    for (std::int64_t key = 0; key < S; ++key) {
      const double* v = e.v.data<double>() + ((b * S + key) * K + kv) * D;
      for (std::int64_t d = 0; d < D; ++d) {
        r.out.data<double>()[((b * T + t) * H + h) * D + d] +=
            static_cast<double>(weight[static_cast<std::size_t>(key)] / sum) * v[d];
      }
    }
  }
  return r;
}

void expect_definition(const Example& e) {
  const Result ours = attended(e), expected = by_definition(e);
  EXPECT_TRUE(all_close(ours.out, expected.out, kRounding));
  EXPECT_TRUE(all_close(ours.lse, expected.lse, kRounding));
}

TEST(Attention, OneTokenGetsItsOwnValue) {
  const Example e({1, 1, 1, 1, 1, 3});
  EXPECT_TRUE(all_close(attended(e).out, e.v, kRounding));
}

TEST(Attention, EqualScoresGiveTheMeanOfWhatIsSeen) {
  Example e({1, 4, 4, 1, 1, 2});
  e.q.zero();
  e.v = Tensor::from<double>(std::vector<double>{1, 10, 3, 30, 5, 50, 7, 70}, {4, 2});
  const Result r = attended(e);
  const Tensor means =
      Tensor::from<double>(std::vector<double>{1, 10, 2, 20, 3, 30, 4, 40}, {4, 2});
  EXPECT_TRUE(all_close(r.out, means, kRounding));
  for (int t = 0; t < 4; ++t) EXPECT_NEAR(r.lse.data<double>()[t], std::log(t + 1.0), kRounding);
}

TEST(Attention, WeightsSumToOne) {
  Example e({2, 9, 9, 4, 2, 3});
  e.v = filled(e.v.shape(), 1.0);
  EXPECT_TRUE(all_close(attended(e).out, filled({18, 12}, 1.0), kRounding));
}

TEST(Attention, NoTokenSeesALaterOne) {
  Example e({1, 8, 8, 2, 1, 4});
  const Result before = attended(e);
  for (const Tensor& t : {e.k, e.v}) {
    for (double& x : t.rows(5, 8).span<double>()) x = 9.0 - x;
  }
  const Result after = attended(e);
  EXPECT_TRUE(same_bytes(after.out.rows(0, 5), before.out.rows(0, 5)));
  for (std::int64_t t = 5; t < 8; ++t) {
    EXPECT_FALSE(same_bytes(after.out.rows(t, t + 1), before.out.rows(t, t + 1))) << t;
  }
}

TEST(Attention, ATokenSeesItself) {
  Example e({1, 3, 3, 1, 1, 2});
  const Tensor before = attended(e).out;
  for (double& x : e.v.rows(1, 2).span<double>()) x += 1.0;
  const Tensor after = attended(e).out;
  EXPECT_TRUE(same_bytes(after.rows(0, 1), before.rows(0, 1)));
  EXPECT_FALSE(same_bytes(after.rows(1, 2), before.rows(1, 2)));
}

TEST(Attention, ScoresAreDividedByTheRootOfTheHeadSize) {
  // q·k is 8 with the second key and 0 with the first; of D = 16 that is 2.
  Example e({1, 2, 2, 1, 1, 16});
  for (const Tensor& t : {e.q, e.k, e.v}) t.zero();
  e.q.data<double>()[16] = 1.0;
  e.k.data<double>()[16] = 8.0;
  e.v.data<double>()[16] = 1.0;
  EXPECT_NEAR(attended(e).out.data<double>()[16], std::exp(2.0) / (1.0 + std::exp(2.0)), kRounding);
}

TEST(Attention, AGroupOfHeadsSharesKeysAndValues) {
  // Six query heads, two of keys: 0, 1, 2 read the first and 3, 4, 5 the second.
  Example e({1, 5, 5, 6, 2, 3});
  const Tensor before = attended(e).out;
  for (std::int64_t t = 0; t < 5; ++t) {
    for (std::int64_t d = 3; d < 6; ++d) e.v.data<double>()[t * 6 + d] += 1.0;
  }
  const Tensor after = attended(e).out;
  for (std::int64_t i = 0; i < before.numel(); ++i) {
    const bool second = i % 18 >= 9;
    EXPECT_NEAR(after.data<double>()[i], before.data<double>()[i] + (second ? 1.0 : 0.0),
                kRounding);
  }
}

TEST(Attention, FollowsItsDefinition) {
  expect_definition(Example({2, 7, 7, 6, 2, 4}));
  expect_definition(Example({3, 5, 5, 3, 3, 2}));
  expect_definition(Example({1, 6, 6, 4, 1, 5}));
}

TEST(Attention, LongRowsToo) {
  expect_definition(Example({2, 131, 131, 2, 1, 3}));
}

TEST(Attention, NewTokensSeeTheCachedOnes) {
  // Three queries at the end of eight keys: the first of them sees six.
  expect_definition(Example({2, 3, 8, 4, 2, 3}));
  expect_definition(Example({1, 1, 70, 2, 1, 4}));
}

TEST(Attention, LargeScoresDoNotOverflow) {
  Example e({1, 4, 4, 1, 1, 4});
  for (double& x : e.q.span<double>()) x *= 1e4;
  const Result r = attended(e);
  for (const double x : r.out.span<double>()) EXPECT_TRUE(std::isfinite(x));
  for (const double x : r.lse.span<double>()) EXPECT_TRUE(std::isfinite(x));
  Example low({1, 2, 2, 1, 1, 1});  // every score is -1e6
  low.q = filled({2, 1}, 1e3);
  low.k = filled({2, 1}, -1e3);
  const double mean = (low.v.data<double>()[0] + low.v.data<double>()[1]) / 2.0;
  EXPECT_NEAR(attended(low).out.data<double>()[1], mean, kRounding);
}

TEST(Attention, PaddingIsNotSeen) {
  Example e({2, 6, 6, 4, 2, 3});
  e.segments = {1, 1, 1, 1, 0, 0, 1, 0, 1, 1, 1, 0};
  const Result ours = attended(e), expected = by_definition(e);
  for (std::int64_t i = 0; i < 12; ++i) {
    if (e.segments[static_cast<std::size_t>(i)] == 0) continue;  // means nothing
    EXPECT_TRUE(all_close(ours.out.rows(i, i + 1), expected.out.rows(i, i + 1), kRounding)) << i;
  }
}

TEST(Attention, AQueryThatSeesNothingGetsZeros) {
  Example e({1, 4, 4, 2, 1, 3});
  e.segments = {0, 0, 1, 1};
  const Result r = attended(e);
  EXPECT_TRUE(all_close(r.out.rows(0, 2), filled({2, 6}, 0.0), 0.0));
  EXPECT_EQ(r.lse.data<double>()[0], kNever);
  EXPECT_TRUE(all_close(r.out.rows(2, 4), by_definition(e).out.rows(2, 4), kRounding));
}

TEST(Attention, ExamplesInOneRowDoNotSeeEachOther) {
  Example e({1, 7, 7, 4, 2, 3});
  e.segments = {1, 1, 1, 2, 2, 3, 3};
  expect_definition(e);
}

struct Gradients {
  Example e;
  Tensor dout;
  Tensor dq, dk, dv;  // must be overwritten

  explicit Gradients(const Example& of)
      : e(of),
        dout(normal_tensor(of.q.shape(), 4)),
        dq(filled(of.q.shape(), kNaN)),
        dk(filled(of.k.shape(), kNaN)),
        dv(filled(of.v.shape(), kNaN)) {
    const AttentionShape& s = e.s;
    const Result r = attended(e);
    cpu::attention_backward<double>(
        s, heads<const double>(e.q, s.T), heads<const double>(e.k, s.S),
        heads<const double>(e.v, s.S), e.segments.empty() ? nullptr : e.segments.data(),
        r.out.data<double>(), r.lse.data<double>(), dout.data<double>(), heads<double>(dq, s.T),
        heads<double>(dk, s.S), heads<double>(dv, s.S));
  }
  void expect_finite_differences() const {
    const auto loss = [&] { return testing::weighted_sum(attended(e).out, dout); };
    EXPECT_TRUE(testing::matches_finite_differences(loss, e.q, dq));
    EXPECT_TRUE(testing::matches_finite_differences(loss, e.k, dk));
    EXPECT_TRUE(testing::matches_finite_differences(loss, e.v, dv));
  }
};

TEST(Attention, GradientsMatchFiniteDifferences) {
  Gradients(Example({2, 5, 5, 2, 2, 3})).expect_finite_differences();
  Gradients(Example({1, 66, 66, 1, 1, 2})).expect_finite_differences();
}

TEST(Attention, GradientsOfAGroupAddUp) {
  Gradients(Example({1, 4, 4, 6, 2, 3})).expect_finite_differences();
}

TEST(Attention, GradientsOfPaddedAndPackedRows) {
  Example e({2, 6, 6, 2, 1, 3});
  e.segments = {0, 1, 1, 2, 2, 2, 1, 1, 0, 1, 2, 2};
  Gradients(e).expect_finite_differences();
}

TEST(Attention, FloatAgreesWithDouble) {
  const Example e({1, 9, 9, 4, 2, 8});
  const AttentionShape& s = e.s;
  const Tensor q = e.q.to(DType::f32), k = e.k.to(DType::f32), v = e.v.to(DType::f32);
  Tensor out = Tensor::empty(DType::f32, {9, 32}), lse = Tensor::empty(DType::f32, {1, 4, 9});
  cpu::attention_forward<float>(s, heads<const float>(q, 9), heads<const float>(k, 9),
                                heads<const float>(v, 9), nullptr, out.data<float>(),
                                lse.data<float>());
  // Scores up to 5 of eight products each, in float32: 8 · 5 · 6e-8, in an exponent.
  EXPECT_TRUE(all_close(out, attended(e).out, 1e-5));
}

}  // namespace
}  // namespace qlora
