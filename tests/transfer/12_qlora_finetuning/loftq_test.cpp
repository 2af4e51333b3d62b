// LoftQ, against the singular values of what its codes leave.
#include "loftq.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "lora/svd.h"
#include "support/finite_difference.h"
#include "support/matcher.h"

namespace qlora {
namespace {

using testing::all_close;
using testing::is_close;
using testing::normal_tensor;

constexpr std::int64_t kN = 12, kK = 10;  // 120 weights: a whole block of 64 and a short one

// A and B are float32, of singular values up to one or two: 1e-7 of them in a dozen terms.
constexpr double kRounding = 1e-5;

Tensor weight() {
  return normal_tensor({kN, kK}, 12).to(DType::f32);
}

QuantizedTensor nf4(const Tensor& W) {
  return quantize_4bit(W, QuantType::nf4, 64, true);
}

// s · B · A (N,K).
std::vector<double> update(const LoftqStart& start, std::int64_t R, double s) {
  std::vector<double> out(kN * kK, 0.0);
  for (std::int64_t n = 0; n < kN; ++n) {
    for (std::int64_t k = 0; k < kK; ++k) {
      for (std::int64_t r = 0; r < R; ++r) {
        out[static_cast<std::size_t>(n * kK + k)] +=
            s * double{start.B[static_cast<std::size_t>(n * R + r)]} *
            double{start.A[static_cast<std::size_t>(r * kK + k)]};
      }
    }
  }
  return out;
}

// W − dequantize(base).
std::vector<double> left_by(const QuantizedTensor& base, const Tensor& W) {
  const Tensor restored = dequantize_4bit(base);
  std::vector<double> out;
  for (std::int64_t i = 0; i < W.numel(); ++i) {
    out.push_back(double{W.data<float>()[i]} - double{restored.data<float>()[i]});
  }
  return out;
}

double length(const std::vector<double>& x) {
  double squares = 0;
  for (const double v : x) squares += v * v;
  return std::sqrt(squares);
}

// ‖W − dequantize(base) − s · B · A‖
double off(const LoftqStart& start, const Tensor& W, std::int64_t R, double s) {
  std::vector<double> rest = left_by(start.base, W);
  const std::vector<double> change = update(start, R, s);
  for (std::size_t i = 0; i < rest.size(); ++i) rest[i] -= change[i];
  return length(rest);
}

std::int64_t different_bytes(const QuantizedTensor& a, const QuantizedTensor& b) {
  std::int64_t count = 0;
  for (std::int64_t i = 0; i < a.packed.numel(); ++i) {
    count += a.packed.data<std::uint8_t>()[i] != b.packed.data<std::uint8_t>()[i] ? 1 : 0;
  }
  return count;
}

TEST(Loftq, OneStepQuantizesTheWeightItself) {
  const LoftqStart start = loftq_start(weight(), 3, 2.0, 1);
  EXPECT_TRUE(testing::same_bytes(start.base.packed, nf4(weight()).packed));
}

TEST(Loftq, HasTheFormatOfQlora) {
  const LoftqStart start = loftq_start(weight(), 3, 2.0, 2);
  EXPECT_EQ(start.base.type, QuantType::nf4);
  EXPECT_EQ(start.base.blocksize, 64);
  EXPECT_TRUE(start.base.nested());
  EXPECT_EQ(start.base.shape, (Shape{kN, kK}));
  EXPECT_EQ(start.A.size(), static_cast<std::size_t>(3 * kK));
  EXPECT_EQ(start.B.size(), static_cast<std::size_t>(kN * 3));
}

TEST(Loftq, TheUpdateIsTheNearestOfItsRank) {
  const Tensor W = weight();
  for (const int steps : {1, 2, 5}) {
    for (const std::int64_t R : {1, 3, 9}) {
      const LoftqStart start = loftq_start(W, R, 2.0, steps);
      const Svd left = svd(kN, kK, left_by(start.base, W));
      EXPECT_TRUE(is_close(off(start, W, R, 2.0), truncation_error(left.s, R), kRounding))
          << steps << " steps, rank " << R;
    }
  }
}

TEST(Loftq, TheScalingIsTakenOut) {
  const Tensor W = weight();
  const LoftqStart small = loftq_start(W, 3, 0.5, 1), large = loftq_start(W, 3, 4.0, 1);
  EXPECT_TRUE(all_close(update(small, 3, 0.5), update(large, 3, 4.0), kRounding));
  EXPECT_GT(length(update(small, 3, 0.5)), 0.1);
}

TEST(Loftq, TheSingularValuesAreShared) {
  const Tensor W = weight();
  const double s = 2.0;
  const LoftqStart start = loftq_start(W, 3, s, 1);
  const Svd left = svd(kN, kK, left_by(start.base, W));
  for (std::int64_t p = 0; p < 3; ++p) {
    double column = 0, row = 0;
    for (std::int64_t n = 0; n < kN; ++n) {
      column += std::pow(double{start.B[static_cast<std::size_t>(n * 3 + p)]}, 2);
    }
    for (std::int64_t k = 0; k < kK; ++k) {
      row += std::pow(double{start.A[static_cast<std::size_t>(p * kK + k)]}, 2);
    }
    const double expected = left.s[static_cast<std::size_t>(p)] / s;
    EXPECT_TRUE(is_close(column, expected, 0, 1e-4)) << p;
    EXPECT_TRUE(is_close(row, expected, 0, 1e-4)) << p;
  }
}

TEST(Loftq, TheNextStepQuantizesWhatTheUpdateLeaves) {
  const Tensor W = weight();
  std::int64_t changed = 0;
  for (const std::int64_t R : {1, 3, 5, 7, 9}) {
    const LoftqStart first = loftq_start(W, R, 2.0, 1), second = loftq_start(W, R, 2.0, 2);
    const std::vector<double> change = update(first, R, 2.0);
    const Tensor left = W.clone();
    for (std::int64_t i = 0; i < left.numel(); ++i) {
      left.data<float>()[i] -= static_cast<float>(change[static_cast<std::size_t>(i)]);
    }
    // A value at a threshold may fall on the other side where sums are rounded in another order.
    EXPECT_LE(different_bytes(second.base, nf4(left)), 1) << R;
    changed += different_bytes(second.base, first.base);
  }
  EXPECT_GT(changed, 10) << "the codes of the first step stay";
}

TEST(Loftq, IsNearerThanNf4AndGetsNearer) {
  const Tensor W = weight();
  const double alone = length(left_by(nf4(W), W));
  const double once = off(loftq_start(W, 3, 2.0, 1), W, 3, 2.0);
  const double often = off(loftq_start(W, 3, 2.0, 5), W, 3, 2.0);
  EXPECT_LT(once, 0.9 * alone);
  EXPECT_LT(often, once);
}

TEST(Loftq, FullRankLeavesNothing) {
  const Tensor W = weight();
  EXPECT_LT(off(loftq_start(W, kK, 2.0, 2), W, kK, 2.0), kRounding);
}

TEST(Loftq, AWeightOfZerosNeedsNoUpdate) {
  const Tensor W = Tensor::zeros(DType::f32, {kN, kK});
  const LoftqStart start = loftq_start(W, 3, 2.0, 2);
  for (const float a : start.A) EXPECT_TRUE(std::isfinite(a));
  EXPECT_TRUE(
      all_close(update(start, 3, 2.0), std::vector<double>(static_cast<std::size_t>(kN * kK)), 0));
}

TEST(Loftq, RefusesWhatHasNoAnswer) {
  const Tensor W = weight();
  EXPECT_NO_THROW(loftq_start(W, kK, 2.0, 1));
  EXPECT_THROW(loftq_start(W, 0, 2.0, 1), std::invalid_argument);
  EXPECT_THROW(loftq_start(W, kK + 1, 2.0, 1), std::invalid_argument);
  EXPECT_THROW(loftq_start(W, 3, 2.0, 0), std::invalid_argument);
  EXPECT_THROW(loftq_start(W, 3, 0.0, 1), std::invalid_argument);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THROW(loftq_start(W, 3, nan, 1), std::invalid_argument);
  EXPECT_THROW(loftq_start(Tensor::zeros(DType::f32, {120}), 3, 2.0, 1), std::invalid_argument);
}

}  // namespace
}  // namespace qlora
