// RMSNorm: by hand, against its equation, against finite differences.
#include "ops/rms_norm.h"

#include <gtest/gtest.h>

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

// Sums of at most 40 products of numbers of order one, in double: 40 · eps · 4 = 4e-14.
constexpr double kRounding = 1e-13;

// Outputs begin as NaN: what is not written shows.
Tensor unwritten(Shape shape) {
  Tensor t = Tensor::empty(DType::f64, std::move(shape));
  for (double& x : t.span<double>()) x = std::numeric_limits<double>::quiet_NaN();
  return t;
}

Tensor filled(Shape shape, double value) {
  Tensor t = Tensor::empty(DType::f64, std::move(shape));
  for (double& x : t.span<double>()) x = value;
  return t;
}

Tensor row_of(const std::vector<double>& values) {
  return Tensor::from<double>(values, {1, static_cast<std::int64_t>(values.size())});
}

struct Normed {
  Tensor y, rstd;
};

Normed norm_of(const Tensor& x, const Tensor& weight, double eps) {
  Normed out{unwritten(x.shape()), unwritten({x.dim(0)})};
  cpu::rms_norm_forward<double>(x.dim(0), x.dim(1), x.data<double>(), weight.data<double>(), eps,
                                out.y.data<double>(), out.rstd.data<double>());
  return out;
}

// The equation in long double, element by element.
Tensor by_the_equation(const Tensor& x, const Tensor& weight, double eps) {
  const std::int64_t rows = x.dim(0), C = x.dim(1);
  Tensor y = unwritten({rows, C});
  for (std::int64_t i = 0; i < rows; ++i) {
    long double squares = 0;
    for (std::int64_t j = 0; j < C; ++j) {
      const long double v = x.data<double>()[i * C + j];
      squares += v * v;
    }
    const long double root = std::sqrt(squares / static_cast<long double>(C) + eps);
    for (std::int64_t j = 0; j < C; ++j) {
      y.data<double>()[i * C + j] =
          static_cast<double>(x.data<double>()[i * C + j] / root * weight.data<double>()[j]);
    }
  }
  return y;
}

TEST(RmsNorm, ByHand) {
  // (1² + 7²) / 2 = 25: the root is 5.
  const Normed n = norm_of(row_of({1, 7}), row_of({2, 10}), 0.0);
  EXPECT_TRUE(all_close(n.y, row_of({0.4, 14}), kRounding));
  EXPECT_NEAR(n.rstd.data<double>()[0], 0.2, kRounding);
}

// transformers' LlamaRMSNorm in float32: x · rsqrt(mean x² + 1e-5) · w. Four roundings of numbers
// up to 2.4: 4 · 2^-24 · 2.4 = 6e-7.
TEST(RmsNorm, IsThatOfTransformers) {
  const std::vector<float> x{1.0f, -2.0f, 3.0f, 0.5f}, weight{0.5f, 1.0f, 1.5f, 2.0f};
  std::vector<float> y(4), rstd(1);
  cpu::rms_norm_forward<float>(1, 4, x.data(), weight.data(), 1e-5f, y.data(), rstd.data());
  const std::vector<double> expected{0.264906079, -1.05962431, 2.3841548, 0.529812157};
  EXPECT_TRUE(all_close(std::vector<double>(y.begin(), y.end()), expected, 6e-7));
}

TEST(RmsNorm, TheMeanIsNotTakenOff) {
  // LayerNorm would make zeros of a row whose elements are all equal.
  const Normed n = norm_of(row_of({3, 3, 3, 3}), row_of({1, 2, 3, 4}), 0.0);
  EXPECT_TRUE(all_close(n.y, row_of({1, 2, 3, 4}), kRounding));
}

TEST(RmsNorm, EpsStandsInsideTheRoot) {
  // The mean square is 1e-6 and eps is 3e-6: the root is 2e-3. Outside it were 1.003e-3.
  const Normed n = norm_of(row_of({1e-3, -1e-3}), row_of({1, 1}), 3e-6);
  EXPECT_TRUE(all_close(n.y, row_of({0.5, -0.5}), kRounding));
}

TEST(RmsNorm, ARowOfZerosStaysZero) {
  const Normed n = norm_of(row_of({0, 0, 0}), row_of({1, 2, 3}), 1e-4);
  EXPECT_TRUE(all_close(n.y, row_of({0, 0, 0}), 0.0));
  EXPECT_NEAR(n.rstd.data<double>()[0], 100.0, 1e-11);
}

TEST(RmsNorm, FollowsItsEquation) {
  // More rows than a thread takes at once; a length that is no multiple of anything.
  const Tensor x = normal_tensor({37, 13}, 1), weight = normal_tensor({13}, 2);
  for (std::int64_t i = 0; i < x.numel(); ++i) x.data<double>()[i] *= std::pow(1.3, i / 13);
  const Normed n = norm_of(x, weight, 1e-5);
  EXPECT_TRUE(all_close(n.y, by_the_equation(x, weight, 1e-5), kRounding));
  for (const double r : n.rstd.span<double>()) EXPECT_TRUE(std::isfinite(r) && r > 0);
}

TEST(RmsNorm, TheLengthOfARowDoesNotMatter) {
  const Tensor x = normal_tensor({3, 8}, 1), weight = normal_tensor({8}, 2);
  const Tensor before = norm_of(x, weight, 0.0).y;
  for (std::int64_t j = 0; j < 8; ++j) x.data<double>()[8 + j] *= 1000.0;  // the second row
  EXPECT_TRUE(all_close(norm_of(x, weight, 0.0).y, before, kRounding));
}

struct Gradients {
  Tensor x = normal_tensor({5, 7}, 1), weight = normal_tensor({7}, 2),
         dy = normal_tensor({5, 7}, 3);
  Tensor dx, dweight;

  // Adds to what is in dx and dweight.
  void backward(double start, bool of_weight = true) {
    dx = filled({5, 7}, start);
    dweight = filled({7}, start);
    const Tensor rstd = norm_of(x, weight, 1e-2).rstd;
    cpu::rms_norm_backward<double>(5, 7, dy.data<double>(), x.data<double>(), weight.data<double>(),
                                   rstd.data<double>(), dx.data<double>(),
                                   of_weight ? dweight.data<double>() : nullptr);
  }
  double loss() const { return testing::weighted_sum(norm_of(x, weight, 1e-2).y, dy); }
};

TEST(RmsNorm, InputGradientMatchesFiniteDifferences) {
  Gradients g;
  g.backward(0.0);
  EXPECT_TRUE(matches_finite_differences([&] { return g.loss(); }, g.x, g.dx));
}

TEST(RmsNorm, WeightGradientMatchesFiniteDifferences) {
  Gradients g;
  g.backward(0.0);
  EXPECT_TRUE(matches_finite_differences([&] { return g.loss(); }, g.weight, g.dweight));
}

TEST(RmsNorm, GradientsAreAddedToWhatIsThere) {
  Gradients zero, more;
  zero.backward(0.0);
  more.backward(2.0);
  for (double& v : zero.dx.span<double>()) v += 2.0;
  for (double& v : zero.dweight.span<double>()) v += 2.0;
  EXPECT_TRUE(all_close(more.dx, zero.dx, kRounding));
  EXPECT_TRUE(all_close(more.dweight, zero.dweight, kRounding));
}

TEST(RmsNorm, WeightGradientIsOptional) {
  Gradients with, without;
  with.backward(0.0);
  without.backward(0.0, false);
  EXPECT_TRUE(testing::same_bytes(without.dx, with.dx));
}

}  // namespace
}  // namespace qlora
