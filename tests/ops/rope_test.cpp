// The rotation of queries and keys: by hand, and what it is made for.
#include "ops/rope.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "support/finite_difference.h"
#include "support/matcher.h"

namespace qlora {
namespace {

using testing::all_close;
using testing::normal_tensor;
using testing::same_bytes;

constexpr double kRounding = 1e-14;  // two products and a sum of numbers below 4, in double

// cos and sin (P, D/2) of position · frequency, as a model has them.
struct Tables {
  std::vector<float> cos, sin;

  Tables(std::int64_t positions, const std::vector<double>& frequencies) {
    for (std::int64_t p = 0; p < positions; ++p) {
      for (const double f : frequencies) {
        cos.push_back(static_cast<float>(std::cos(static_cast<double>(p) * f)));
        sin.push_back(static_cast<float>(std::sin(static_cast<double>(p) * f)));
      }
    }
  }
};

Tensor rotated(const Tensor& x, std::int64_t heads, std::int64_t D,
               const std::vector<std::int32_t>& positions, const Tables& t, double sign = 1.0) {
  Tensor y = x.clone();
  cpu::rope<double>(y.dim(0), y.dim(1), heads, D, positions.data(), t.cos.data(), t.sin.data(),
                    sign, y.data<double>());
  return y;
}

Tensor row_of(const std::vector<double>& values) {
  return Tensor::from<double>(values, {1, static_cast<std::int64_t>(values.size())});
}

// One position, given by hand: pair 0 turns by a quarter, pair 1 not at all.
Tables quarter_turn() {
  Tables t(0, {});
  t.cos = {0.0f, 1.0f};
  t.sin = {1.0f, 0.0f};
  return t;
}

TEST(Rope, AQuarterTurnByHand) {
  // (x, y) becomes (-y, x); the pair is (0, 2), for it is half a head apart.
  const Tensor y = rotated(row_of({1, 2, 3, 4}), 1, 4, {0}, quarter_turn());
  EXPECT_TRUE(all_close(y, row_of({-3, 2, 1, 4}), 0.0));
}

TEST(Rope, PairsAreHalfAHeadApart) {
  // Only pair 1, of elements 1 and 3, has an angle.
  Tables t = quarter_turn();
  t.cos = {1.0f, 0.0f};
  t.sin = {0.0f, 1.0f};
  const Tensor y = rotated(row_of({1, 2, 3, 4}), 1, 4, {0}, t);
  EXPECT_TRUE(all_close(y, row_of({1, -4, 3, 2}), 0.0));
}

TEST(Rope, PositionZeroStaysAsItIs) {
  const Tensor x = normal_tensor({1, 6}, 1);
  EXPECT_TRUE(same_bytes(rotated(x, 1, 6, {0}, Tables(3, {1.0, 0.5, 0.1})), x));
}

TEST(Rope, EveryRowHasItsOwnPosition) {
  const Tables t(6, {1.0, 0.1});
  const Tensor x = normal_tensor({4, 4}, 1);
  const std::vector<std::int32_t> at{5, 0, 3, 5};
  const Tensor all = rotated(x, 1, 4, at, t);
  for (std::int64_t i = 0; i < 4; ++i) {
    const std::int64_t first = 2 * std::int64_t{at[static_cast<std::size_t>(i)]};  // in the tables
    const double* from = x.data<double>() + i * 4;
    std::vector<double> expected(4);
    for (std::int64_t j = 0; j < 2; ++j) {
      const double c = static_cast<double>(t.cos.data()[first + j]);
      const double s = static_cast<double>(t.sin.data()[first + j]);
      expected[static_cast<std::size_t>(j)] = from[j] * c - from[j + 2] * s;
      expected[static_cast<std::size_t>(j + 2)] = from[j + 2] * c + from[j] * s;
    }
    EXPECT_TRUE(all_close(all.rows(i, i + 1), row_of(expected), kRounding)) << "row " << i;
  }
}

TEST(Rope, EveryHeadTurnsAlike) {
  const Tables t(3, {1.0, 0.3, 0.1});
  const Tensor x = normal_tensor({1, 18}, 1);
  const Tensor y = rotated(x, 3, 6, {2}, t);
  for (std::int64_t h = 0; h < 3; ++h) {
    const double* head = x.data<double>() + h * 6;
    const Tensor alone = rotated(row_of(std::vector<double>(head, head + 6)), 1, 6, {2}, t);
    const double* out = y.data<double>() + h * 6;
    EXPECT_TRUE(all_close(row_of(std::vector<double>(out, out + 6)), alone, 0.0)) << "head " << h;
  }
}

TEST(Rope, ColumnsBehindTheHeadsStay) {
  // Values lie behind queries and keys in one row, and are not rotated.
  const Tensor x = normal_tensor({20, 14}, 1);
  const Tensor y = rotated(x, 2, 4, std::vector<std::int32_t>(20, 2), Tables(3, {1.0, 0.1}));
  for (std::int64_t i = 0; i < 20; ++i) {
    for (std::int64_t j = 0; j < 14; ++j) {
      const double before = x.data<double>()[i * 14 + j], after = y.data<double>()[i * 14 + j];
      EXPECT_EQ(before == after, j >= 8) << "row " << i << " column " << j;
    }
  }
}

double dot(const Tensor& a, const Tensor& b) {
  return testing::weighted_sum(a, b);
}

// Tables are float32: cos and sin are off by 2^-25 each, in six products of numbers up to 3.
constexpr double kTables = 2e-6;

TEST(Rope, LengthsStay) {
  const Tensor x = normal_tensor({1, 6}, 1);
  const Tensor y = rotated(x, 1, 6, {7}, Tables(8, {1.0, 0.2, 0.04}));
  EXPECT_NEAR(dot(y, y), dot(x, x), kTables);
  EXPECT_FALSE(same_bytes(y, x));
}

TEST(Rope, AScoreDependsOnTheDistanceAlone) {
  const Tables t(40, {1.0, 0.2, 0.04});
  const Tensor q = normal_tensor({1, 6}, 1), k = normal_tensor({1, 6}, 2);
  const auto score = [&](std::int32_t i, std::int32_t j) {
    return dot(rotated(q, 1, 6, {i}, t), rotated(k, 1, 6, {j}, t));
  };
  for (const std::int32_t shift : {1, 9, 30}) {
    EXPECT_NEAR(score(9 + shift, 4 + shift), score(9, 4), kTables) << shift;
  }
  EXPECT_GT(std::abs(score(9, 5) - score(9, 4)), 0.01);
  EXPECT_GT(std::abs(score(4, 9) - score(9, 4)), 0.01) << "and on its sign";
}

TEST(Rope, TheGradientTurnsBackwards) {
  const Tables t(9, {1.0, 0.3});
  const std::vector<std::int32_t> at{8, 1, 4};
  const Tensor x = normal_tensor({3, 10}, 1), w = normal_tensor({3, 10}, 2);  // two heads of four
  const Tensor dx = rotated(w, 2, 4, at, t, -1.0);
  const auto loss = [&] { return testing::weighted_sum(rotated(x, 2, 4, at, t), w); };
  EXPECT_TRUE(testing::matches_finite_differences(loss, x, dx));
}

TEST(Rope, FloatAgreesWithDouble) {
  const Tables t(5, {1.0, 0.3});
  const std::vector<std::int32_t> at{4, 2};
  const Tensor x = normal_tensor({2, 4}, 1).to(DType::f32);
  const Tensor expected = rotated(x.to(DType::f64), 1, 4, at, t);
  Tensor y = x.clone();
  cpu::rope<float>(2, 4, 1, 4, at.data(), t.cos.data(), t.sin.data(), 1.0f, y.data<float>());
  EXPECT_TRUE(all_close(y, expected, 6e-7));  // three roundings of numbers up to 3: 3 · 2^-24 · 3
}

}  // namespace
}  // namespace qlora
