// The tied head: the token table, which is looked up at the beginning, multiplied by at the end.
#include "ops/logits.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "support/finite_difference.h"
#include "support/matcher.h"

namespace qlora {
namespace {

using testing::all_close;
using testing::matches_finite_differences;
using testing::normal_tensor;
using testing::weighted_sum;

// Sums of at most twelve products of numbers up to 9, in double.
constexpr double kRounding = 1e-13;

Tensor filled(Shape shape, double value) {
  Tensor t = Tensor::empty(DType::f64, std::move(shape));
  for (double& x : t.span<double>()) x = value;
  return t;
}

Tensor unwritten(Shape shape) {
  return filled(std::move(shape), std::numeric_limits<double>::quiet_NaN());
}

Tensor matrix(std::int64_t rows, const std::vector<double>& values) {
  return Tensor::from<double>(values, {rows, static_cast<std::int64_t>(values.size()) / rows});
}

// The embedding: row ids[i] of the table.
Tensor looked_up(const Tensor& table, const std::vector<std::int32_t>& ids) {
  Tensor x = unwritten({static_cast<std::int64_t>(ids.size()), table.dim(1)});
  double* to = x.data<double>();
  for (const std::int32_t id : ids) {
    for (const double value : table.rows(id, id + 1).span<double>()) *to++ = value;
  }
  return x;
}

Tensor logits_of(const Tensor& x, const Tensor& table) {
  Tensor logits = unwritten({x.dim(0), table.dim(0)});
  cpu::logits_forward<double>(x.dim(0), table.dim(0), x.dim(1), x.data<double>(),
                              table.data<double>(), logits.data<double>());
  return logits;
}

TEST(TiedHead, ALogitIsAProductWithARowOfTheTable) {
  const Tensor table = matrix(3, {1, 2, 3, 4, 5, 6});
  // (1, 10) · (1, 2) = 21, · (3, 4) = 43, · (5, 6) = 65.
  EXPECT_TRUE(all_close(logits_of(matrix(1, {1, 10}), table), matrix(1, {21, 43, 65}), kRounding));
}

TEST(TiedHead, LogitsOfManyRows) {
  const Tensor x = normal_tensor({7, 5}, 1), table = normal_tensor({11, 5}, 2);
  std::vector<double> expected;
  for (std::int64_t i = 0; i < 7; ++i) {
    for (std::int64_t v = 0; v < 11; ++v) {
      double sum = 0;
      for (std::int64_t c = 0; c < 5; ++c) {
        sum += x.data<double>()[i * 5 + c] * table.data<double>()[v * 5 + c];
      }
      expected.push_back(sum);
    }
  }
  EXPECT_TRUE(all_close(logits_of(x, table), matrix(7, expected), kRounding));
}

// What goes in at one end and comes out at the other unchanged is most like itself.
TEST(TiedHead, OneTableServesBothEnds) {
  const Tensor table = matrix(3, {2, 0, 0, 0, 2, 0, 0, 0, 2});
  const Tensor logits = logits_of(looked_up(table, {1, 2}), table);
  EXPECT_TRUE(all_close(logits, matrix(2, {0, 4, 0, 0, 0, 4}), kRounding));
}

// They are no probabilities: any number can be one, and they do not sum to 1.
TEST(TiedHead, LogitsAreNoProbabilities) {
  const Tensor logits = logits_of(normal_tensor({4, 6}, 3), normal_tensor({9, 6}, 4));
  double least = 0, sum = 0;
  for (const double v : logits.rows(0, 1).span<double>()) {
    least = std::min(least, v);
    sum += v;
  }
  EXPECT_LT(least, 0.0);
  EXPECT_GT(std::abs(sum - 1.0), 0.1);
}

struct Head {
  Tensor x = normal_tensor({5, 4}, 1), table = normal_tensor({7, 4}, 2);
  Tensor w = normal_tensor({5, 7}, 3);  // the gradient of the logits
  Tensor dx = unwritten({5, 4}), dtable;

  explicit Head(double start) : dtable(filled({7, 4}, start)) {
    cpu::logits_backward<double>(5, 7, 4, w.data<double>(), x.data<double>(), table.data<double>(),
                                 dtable.data<double>(), dx.data<double>());
  }
  double loss() const { return weighted_sum(logits_of(x, table), w); }
};

TEST(TiedHead, InputGradientMatchesFiniteDifferences) {
  const Head head(0.0);
  EXPECT_TRUE(matches_finite_differences([&] { return head.loss(); }, head.x, head.dx));
}

TEST(TiedHead, TableGradientMatchesFiniteDifferences) {
  const Head head(0.0);
  EXPECT_TRUE(matches_finite_differences([&] { return head.loss(); }, head.table, head.dtable));
}

TEST(TiedHead, TheHeadAddsToTheEmbeddingsGradient) {
  const Head zero(0.0), more(3.0);
  for (double& v : zero.dtable.span<double>()) v += 3.0;
  EXPECT_TRUE(all_close(more.dtable, zero.dtable, kRounding));
  EXPECT_TRUE(testing::same_bytes(more.dx, zero.dx));
}

// Both ends at once: L = Σ w · (E[ids] · Eᵀ) in the one table E.
TEST(TiedHead, BothEndsTogetherAreTheGradientOfOneTable) {
  const Tensor table = normal_tensor({7, 4}, 2), w = normal_tensor({5, 7}, 3);
  const std::vector<std::int32_t> ids{6, 1, 1, 3, 6};
  const auto loss = [&] { return weighted_sum(logits_of(looked_up(table, ids), table), w); };
  const Tensor dtable = filled({7, 4}, 0.0), x = looked_up(table, ids), dx = unwritten({5, 4});
  cpu::logits_backward<double>(5, 7, 4, w.data<double>(), x.data<double>(), table.data<double>(),
                               dtable.data<double>(), dx.data<double>());
  for (std::int64_t i = 0; i < 5; ++i) {  // the embedding's gradient: one row of dx a token
    const std::int64_t row = ids[static_cast<std::size_t>(i)];
    for (std::int64_t c = 0; c < 4; ++c) {
      dtable.data<double>()[row * 4 + c] += dx.data<double>()[i * 4 + c];
    }
  }
  EXPECT_TRUE(matches_finite_differences(loss, table, dtable));
}

TEST(TiedHead, AFrozenTableGetsNoGradient) {
  const Head head(0.0);
  const Tensor dx = unwritten({5, 4});
  cpu::logits_backward<double>(5, 7, 4, head.w.data<double>(), head.x.data<double>(),
                               head.table.data<double>(), nullptr, dx.data<double>());
  EXPECT_TRUE(testing::same_bytes(dx, head.dx));
}

TEST(TiedHead, TheInputGradientMayLieOverTheInput) {
  const Head apart(0.0);
  const Tensor x = normal_tensor({5, 4}, 1), dtable = filled({7, 4}, 0.0);
  cpu::logits_backward<double>(5, 7, 4, apart.w.data<double>(), x.data<double>(),
                               apart.table.data<double>(), dtable.data<double>(), x.data<double>());
  EXPECT_TRUE(all_close(dtable, apart.dtable, kRounding));
  EXPECT_TRUE(all_close(x, apart.dx, kRounding));
}

}  // namespace
}  // namespace qlora
