// Attention over rows that hold several examples.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/ops.h"
#include "support/finite_difference.h"
#include "support/matcher.h"

namespace qlora {
namespace {

using testing::all_close;
using testing::matches_finite_differences;
using testing::normal_tensor;
using testing::same_bytes;

// A row: the lengths of its examples; 0 stands for one token of padding behind them.
using Lengths = std::vector<std::int64_t>;

struct Case {
  std::vector<Lengths> rows;
  std::int64_t H, K, D;
};

void PrintTo(const Case& c, std::ostream* out) {
  *out << "H" << c.H << " K" << c.K << " D" << c.D;
  for (const Lengths& row : c.rows) *out << " " << ::testing::PrintToString(row);
}

Tensor numbered(const std::vector<Lengths>& rows) {
  std::vector<std::int32_t> values;
  for (const Lengths& row : rows) {
    std::int32_t segment = 0;
    for (const std::int64_t length : row) {
      segment += length > 0 ? 1 : 0;
      values.insert(values.end(), static_cast<std::size_t>(std::max<std::int64_t>(length, 1)),
                    length > 0 ? segment : 0);
    }
  }
  const auto B = static_cast<std::int64_t>(rows.size());
  const auto T = static_cast<std::int64_t>(values.size()) / B;
  return Tensor::from<std::int32_t>(values, {B, T});
}

// An attention with its inputs, what it gave, and the gradient.
struct Attention {
  AttentionShape s;
  Tensor qkv, dout, segments, out, lse, dqkv;

  Attention(std::int64_t B, std::int64_t T, const Case& c, Tensor qkv_, Tensor dout_,
            Tensor segments_)
      : s{B, T, T, c.H, c.K, c.D},
        qkv(std::move(qkv_)),
        dout(std::move(dout_)),
        segments(std::move(segments_)),
        out(Tensor::zeros(DType::f64, {B * T, c.H * c.D})),
        lse(Tensor::zeros(DType::f64, {B, c.H, T})),
        dqkv(normal_tensor(qkv.shape(), 9)) {  // must be overwritten
    forward();
    Arena arena;
    ops::attention_backward(s, qkv, segments, out, lse, dout, arena, dqkv);
  }
  void forward() const { ops::attention_forward(s, qkv, segments, out, lse); }
};

Attention packed(const Case& c) {
  const Tensor segments = numbered(c.rows);
  const std::int64_t B = segments.dim(0), T = segments.dim(1);
  return {B,
          T,
          c,
          normal_tensor({B * T, (c.H + 2 * c.K) * c.D}, 1),
          normal_tensor({B * T, c.H * c.D}, 2),
          segments};
}

class Segments : public ::testing::TestWithParam<Case> {};

TEST_P(Segments, GradientIsThatOfFiniteDifferences) {
  const Attention a = packed(GetParam());
  const auto f = [&] {
    a.forward();
    return testing::weighted_sum(a.out, a.dout);
  };
  EXPECT_TRUE(matches_finite_differences(f, a.qkv, a.dqkv));
}

// The same sums of the same numbers; a product that begins elsewhere in memory may take them in
// other lanes: some 1e-16 times the square root of at most 200 terms of order one.
TEST_P(Segments, EachExampleGetsWhatItGetsAlone) {
  const Case& c = GetParam();
  const Attention row = packed(c);
  const std::int64_t T = row.s.T;
  for (std::int64_t b = 0; b < row.s.B; ++b) {
    std::int64_t begin = b * T;
    for (const std::int64_t length : c.rows[static_cast<std::size_t>(b)]) {
      if (length == 0) break;
      const auto part = [&](const Tensor& t) { return t.rows(begin, begin + length); };
      const Attention alone(1, length, c, part(row.qkv).clone(), part(row.dout).clone(), Tensor());
      EXPECT_TRUE(all_close(part(row.out), alone.out, 1e-14));
      // Queries of padding behind an example see it, and here they have a gradient.
      const std::int64_t end = begin + length;
      const bool padding = end < (b + 1) * T && row.segments.data<std::int32_t>()[end] == 0;
      if (!padding) {
        EXPECT_TRUE(all_close(part(row.dqkv), alone.dqkv, 1e-13));
      }
      for (std::int64_t h = 0; h < c.H; ++h) {
        for (std::int64_t t = 0; t < length; ++t) {
          EXPECT_NEAR(row.lse.data<double>()[(b * c.H + h) * T + begin - b * T + t],
                      alone.lse.data<double>()[h * length + t], 1e-14);
        }
      }
      begin += length;
    }
  }
}

// Several query heads a key-value head, odd sizes, one token alone, padding at a row's end, and
// examples that begin within a block of 64 queries and end in another.
INSTANTIATE_TEST_SUITE_P(Shapes, Segments,
                         ::testing::Values(Case{{{2, 1, 4}, {7}, {3, 2, 0, 0}}, 6, 2, 4},
                                           Case{{{1, 1, 3, 2, 2}, {5, 3, 1}}, 3, 1, 2},
                                           Case{{{30, 70, 35, 0}, {129, 7}}, 2, 1, 2}));

// Everything of the first example is NaN: what is computed from it anywhere else shows. A score
// that were masked only after it is computed would pass, a value that is multiplied by 0 not.
TEST(SegmentedAttention, WhatAnotherExampleHoldsIsNeverRead) {
  const Case c{{{70, 61, 5}}, 6, 2, 4};
  const Attention before = packed(c);
  const Tensor qkv = before.qkv.clone(), dout = before.dout.clone();
  const double nan = std::numeric_limits<double>::quiet_NaN();
  std::ranges::fill(qkv.rows(0, 70).span<double>(), nan);
  std::ranges::fill(dout.rows(0, 70).span<double>(), nan);
  const Attention after(1, 136, c, qkv, dout, before.segments);
  EXPECT_TRUE(same_bytes(after.out.rows(70, 136), before.out.rows(70, 136)));
  EXPECT_TRUE(same_bytes(after.dqkv.rows(70, 136), before.dqkv.rows(70, 136)));
  EXPECT_TRUE(std::isnan(after.out.data<double>()[0]));
}

TEST(SegmentedAttention, OneInEveryRowIsAsIfNoneWereGiven) {
  const Case c{{{67}, {67}}, 4, 2, 3};
  const Attention with = packed(c);
  const Attention without(2, 67, c, with.qkv, with.dout, Tensor());
  EXPECT_TRUE(same_bytes(with.out, without.out));
  EXPECT_TRUE(same_bytes(with.lse, without.lse));
  EXPECT_TRUE(same_bytes(with.dqkv, without.dqkv));
}

TEST(SegmentedAttention, MustBeOfTheBatchsShape) {
  const Attention a = packed({{{2, 3}}, 2, 1, 2});
  const Tensor flat = a.segments.reshape({5});
  EXPECT_THROW(ops::attention_forward(a.s, a.qkv, flat, a.out, a.lse), std::invalid_argument);
  Arena arena;
  EXPECT_THROW(ops::attention_backward(a.s, a.qkv, flat, a.out, a.lse, a.dout, arena, a.dqkv),
               std::invalid_argument);
}

TEST(Positions, MustLieInTheTables) {
  const Tensor x = normal_tensor({2, 4}, 1), table = normal_tensor({3, 2}, 2).to(DType::f32);
  for (const std::int32_t wrong : {-1, 3}) {
    const std::vector<std::int32_t> at{0, wrong};
    const Tensor positions = Tensor::from<std::int32_t>(at, {2});
    EXPECT_THROW(ops::rope_forward(x, 1, 4, positions, table, table), std::invalid_argument);
  }
  EXPECT_THROW(ops::rope_forward(x, 1, 4, Tensor::zeros(DType::i32, {3}), table, table),
               std::invalid_argument);
}

}  // namespace
}  // namespace qlora
