// SwiGLU: SiLU's values, which half is the gate, and the gradients.
#include "ops/swiglu.h"

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

// A sigmoid within 5 ulp, and two products of numbers up to 8: 5 · 1.1e-16 · 8.
constexpr double kRounding = 1e-14;

Tensor rows_of(std::int64_t rows, const std::vector<double>& values) {
  return Tensor::from<double>(values, {rows, static_cast<std::int64_t>(values.size()) / rows});
}

Tensor swiglu(const Tensor& gate_up) {
  const std::int64_t rows = gate_up.dim(0), F = gate_up.dim(1) / 2;
  Tensor y = Tensor::empty(DType::f64, {rows, F});
  for (double& v : y.span<double>()) v = std::numeric_limits<double>::quiet_NaN();
  cpu::swiglu_forward<double>(rows, F, gate_up.data<double>(), y.data<double>());
  return y;
}

double silu(double x) {
  return swiglu(rows_of(1, {x, 1.0})).data<double>()[0];
}

TEST(SwiGlu, SiluByHand) {
  // x / (1 + e^-x), nine digits.
  EXPECT_NEAR(silu(-2.0), -0.238405844, 1e-9);
  EXPECT_NEAR(silu(-1.0), -0.268941421, 1e-9);
  EXPECT_NEAR(silu(0.0), 0.0, 0.0);
  EXPECT_NEAR(silu(1.0), 0.731058579, 1e-9);
  EXPECT_NEAR(silu(2.0), 1.761594156, 1e-9);
}

TEST(SwiGlu, FarFromZeroItIsTheGateOrNothing) {
  EXPECT_EQ(silu(1000.0), 1000.0);
  EXPECT_NEAR(silu(-1000.0), 0.0, 1e-300);
  EXPECT_NEAR(silu(-40.0), -40.0 * std::exp(-40.0), 1e-30);
}

TEST(SwiGlu, TheGateComesFirst) {
  // silu(0) · 5 is nothing, silu(5) · 0 is nothing too; silu(1) · 3 is not silu(3) · 1.
  const Tensor y = swiglu(rows_of(1, {0, 5, 1, 5, 0, 3}));
  EXPECT_TRUE(all_close(y, rows_of(1, {0, 0, 3 * silu(1.0)}), kRounding));
}

TEST(SwiGlu, UpIsNotActivated) {
  const double gate = silu(2.0);
  EXPECT_NEAR(swiglu(rows_of(1, {2, -7})).data<double>()[0], -7 * gate, kRounding);
}

TEST(SwiGlu, EveryRowAndColumn) {
  const std::int64_t rows = 9, F = 5;
  const Tensor gate_up = normal_tensor({rows, 2 * F}, 1, 2.0);
  std::vector<double> expected;
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = 0; j < F; ++j) {
      const double g = gate_up.data<double>()[i * 2 * F + j];
      expected.push_back(g / (1.0 + std::exp(-g)) * gate_up.data<double>()[i * 2 * F + F + j]);
    }
  }
  EXPECT_TRUE(all_close(swiglu(gate_up), rows_of(rows, expected), kRounding));
}

// Not monotonic: it falls to -0.278465, and rises again. There 1 + x (1 - sigmoid(x)) is zero.
TEST(SwiGlu, TheMinimumLiesAtMinus1278) {
  const double least = silu(-1.278464542761074);
  EXPECT_NEAR(least, -0.278464542761074, 1e-12);
  for (const double x : {-3.0, -2.0, -1.3, -1.25, -1.0, 0.0}) EXPECT_GT(silu(x), least) << x;
}

struct Gradients {
  Tensor gate_up = normal_tensor({3, 8}, 1, 3.0), dy = normal_tensor({3, 4}, 2);
  Tensor dgate_up = normal_tensor({3, 8}, 9);  // must be overwritten

  Gradients() {
    cpu::swiglu_backward<double>(3, 4, gate_up.data<double>(), dy.data<double>(),
                                 dgate_up.data<double>());
  }
};

TEST(SwiGlu, GradientsMatchFiniteDifferences) {
  const Gradients g;
  const auto loss = [&] { return testing::weighted_sum(swiglu(g.gate_up), g.dy); };
  EXPECT_TRUE(testing::matches_finite_differences(loss, g.gate_up, g.dgate_up));
}

TEST(SwiGlu, ANegativeGateStillHasASlope) {
  // silu'(-1) = 0.0723, silu'(-2) = -0.0908: where ReLU's gradient is zero.
  const Tensor gate_up = rows_of(1, {-1, -2, 1, 1}), dy = rows_of(1, {1, 1});
  std::vector<double> gradient(4);
  cpu::swiglu_backward<double>(1, 2, gate_up.data<double>(), dy.data<double>(), gradient.data());
  EXPECT_NEAR(gradient[0], 0.072329, 1e-6);
  EXPECT_NEAR(gradient[1], -0.090784, 1e-6);
}

TEST(SwiGlu, FloatAgreesWithDouble) {
  const Tensor gate_up = normal_tensor({4, 14}, 1, 2.0).to(DType::f32);
  Tensor y = Tensor::empty(DType::f32, {4, 7});
  cpu::swiglu_forward<float>(4, 7, gate_up.data<float>(), y.data<float>());
  EXPECT_TRUE(all_close(y, swiglu(gate_up.to(DType::f64)), 0, 8 * 6e-8));  // 8 roundings
}

}  // namespace
}  // namespace qlora
