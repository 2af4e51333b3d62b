// LoRA of one linear: against the dense matrix it stands for, and finite differences in double.
#include "lora/lora.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "lora_example.h"
#include "support/matcher.h"

namespace qlora {
namespace {

using testing::all_close;
using testing::at;
using testing::Example;
using testing::filled;
using testing::is_close;
using testing::kRounding;
using testing::linear;
using testing::matches_finite_differences;
using testing::normal_tensor;
using testing::same_bytes;
using testing::sum;
using testing::weighted_sum;

TEST(Lora, ScalingIsAlphaOverRank) {
  EXPECT_EQ(lora_scaling(64, 32, false), 2.0);
  EXPECT_EQ(lora_scaling(512, 256, false), 2.0);
  EXPECT_EQ(lora_scaling(16, 64, false), 0.25);
  EXPECT_EQ(lora_scaling(16, 64, true), 2.0) << "rank-stabilized: 16 / sqrt 64";
  EXPECT_EQ(lora_scaling(7, 1, false), 7.0);
  EXPECT_THROW(lora_scaling(16, 0, false), std::invalid_argument);
}

TEST(Lora, InitialAIsUniformAndBIsZero) {
  const std::int64_t K = 400, N = 3, R = 50;
  std::vector<float> A(R * K), B(N * R, std::numeric_limits<float>::quiet_NaN()), other(R * K);
  lora_initialize(K, N, R, {1, 2}, A.data(), B.data());
  for (float b : B) EXPECT_EQ(b, 0.0f);
  double mean = 0.0, square = 0.0, largest = 0.0;
  for (float a : A) {
    mean += a;
    square += static_cast<double>(a) * a;
    largest = std::max(largest, std::abs(static_cast<double>(a)));
  }
  const auto n = static_cast<double>(A.size());
  const double bound = 1.0 / std::sqrt(400.0);  // Kaiming-uniform, a = sqrt 5
  EXPECT_LE(largest, bound);
  EXPECT_GE(largest, 0.999 * bound);  // missed by 20,000 draws with probability 0.999^20000 = 2e-9
  // Five standard errors: of the mean bound/sqrt(3n), of the mean square bound²·sqrt(4/45/n).
  EXPECT_TRUE(is_close(mean / n, 0.0, 5 * bound / std::sqrt(3 * n)));
  EXPECT_TRUE(
      is_close(square / n, bound * bound / 3, 5 * bound * bound * std::sqrt(4.0 / 45.0 / n)));
  lora_initialize(K, N, R, {1, 3}, other.data(), B.data());
  EXPECT_NE(A, other) << "another stream, another A";
}

TEST(Lora, FreshAdapterChangesNothing) {
  const std::int64_t T = 2, K = 5, N = 4, R = 2;
  std::vector<float> A(R * K), B(N * R), x(T * K, 1.5f), u(T * R), y(T * N, 0.3f);
  lora_initialize(K, N, R, {1, 2}, A.data(), B.data());
  const std::vector<float> before = y;
  std::vector<float> scratch(T * K);
  lora_forward<float>({K, N, R, A.data(), B.data(), 2.0f}, T, x.data(), {}, scratch.data(),
                      u.data(), y.data(), N);
  EXPECT_EQ(y, before);
}

TEST(Lora, ForwardByHand) {
  // A = [2 -1], B = [1 3 0]ᵀ, s = 10, x = [5 4]: u = 6, s·u·Bᵀ = [60 180 0].
  const std::vector<double> A{2, -1}, B{1, 3, 0}, x{5, 4};
  std::vector<double> scratch(2), u(1), y{0.5, 0.25, 0.125};
  lora_forward<double>({2, 3, 1, A.data(), B.data(), 10.0}, 1, x.data(), {}, scratch.data(),
                       u.data(), y.data(), 3);
  EXPECT_EQ(u, (std::vector<double>{6}));
  EXPECT_EQ(y, (std::vector<double>{60.5, 180.25, 0.125}));
}

TEST(Lora, ForwardAddsTheDenseChange) {
  const Example e;
  const Tensor y = filled({e.T, e.N}, 1.5);
  e.forward(y);
  const Tensor expected = sum(filled({e.T, e.N}, 1.5), linear(e.x, e.delta()));
  EXPECT_TRUE(all_close(y, expected, kRounding));
  EXPECT_TRUE(all_close(e.u, linear(e.x, e.A), kRounding)) << "u is kept for the backward pass";
}

TEST(Lora, ForwardKeepsToItsColumns) {
  // q, k and v stand side by side in one y: an adapter of one of them writes its columns alone.
  const Example e;
  const Tensor y = filled({e.T, e.N + 2}, 0.5);
  e.forward(y);
  const Tensor change = linear(e.x, e.delta());
  for (std::int64_t t = 0; t < e.T; ++t) {
    for (std::int64_t n = 0; n < e.N + 2; ++n) {
      const double expected = n < e.N ? 0.5 + at(change, t, n) : 0.5;
      EXPECT_TRUE(is_close(at(y, t, n), expected, n < e.N ? kRounding : 0.0)) << t << ", " << n;
    }
  }
}

TEST(Lora, GradientsMatchFiniteDifferences) {
  const Example e;
  const Tensor w = normal_tensor({e.T, e.N}, 4);  // L = Σ w·y, so dL/dy = w
  const auto loss = [&] {
    const Tensor y = filled({e.T, e.N}, 0.0);
    e.forward(y);
    return weighted_sum(y, w);
  };
  loss();
  const Tensor dA = filled({e.R, e.K}, 0.0), dB = filled({e.N, e.R}, 0.0);
  const Tensor dx = filled({e.T, e.K}, 0.0);
  e.backward(w, dA, dB, dx);
  EXPECT_TRUE(matches_finite_differences(loss, e.A, dA));
  EXPECT_TRUE(matches_finite_differences(loss, e.B, dB));
  EXPECT_TRUE(matches_finite_differences(loss, e.x, dx));
}

TEST(Lora, GradientsAreAddedToWhatIsThere) {
  // dA and dB add up over micro-batches; dx already holds what the base sent back.
  const Example e;
  const Tensor w = normal_tensor({e.T, e.N}, 4), y = filled({e.T, e.N}, 0.0);
  e.forward(y);
  const Tensor dA = filled({e.R, e.K}, 0.0), dB = filled({e.N, e.R}, 0.0);
  const Tensor dx = filled({e.T, e.K}, 0.0);
  e.backward(w, dA, dB, dx);
  const Tensor more_A = normal_tensor({e.R, e.K}, 5), more_B = normal_tensor({e.N, e.R}, 6);
  const Tensor more_x = normal_tensor({e.T, e.K}, 7);
  const Tensor sum_A = more_A.clone(), sum_B = more_B.clone(), sum_x = more_x.clone();
  e.backward(w, sum_A, sum_B, sum_x);
  EXPECT_TRUE(all_close(sum_A, sum(more_A, dA), kRounding));
  EXPECT_TRUE(all_close(sum_B, sum(more_B, dB), kRounding));
  EXPECT_TRUE(all_close(sum_x, sum(more_x, dx), kRounding));
}

TEST(Lora, FirstStepMovesOnlyB) {
  Example e;
  e.B.zero();
  const Tensor w = normal_tensor({e.T, e.N}, 4), y = filled({e.T, e.N}, 0.0);
  e.forward(y);
  const Tensor dA = filled({e.R, e.K}, 0.0), dB = filled({e.N, e.R}, 0.0);
  const Tensor dx = filled({e.T, e.K}, 0.0);
  e.backward(w, dA, dB, dx);
  EXPECT_TRUE(same_bytes(dA, filled({e.R, e.K}, 0.0))) << "dA = (s·dy·B)ᵀ·x, and B is zero";
  EXPECT_TRUE(same_bytes(dx, filled({e.T, e.K}, 0.0)));
  for (double g : dB.span<double>()) EXPECT_NE(g, 0.0);
}

TEST(Lora, InputGradientIsOptional) {
  const Example e;
  const Tensor w = normal_tensor({e.T, e.N}, 4), y = filled({e.T, e.N}, 0.0);
  e.forward(y);
  const Tensor dA = filled({e.R, e.K}, 0.0), dB = filled({e.N, e.R}, 0.0);
  const Tensor same_A = dA.clone(), same_B = dB.clone();
  e.backward(w, dA, dB, filled({e.T, e.K}, 0.0));
  e.backward(w, same_A, same_B, Tensor());
  EXPECT_TRUE(same_bytes(same_A, dA));
  EXPECT_TRUE(same_bytes(same_B, dB));
}

TEST(Lora, MergedWeightGivesTheSameOutput) {
  const Example e;
  const Tensor W = normal_tensor({e.N, e.K}, 9), merged = W.clone();
  const Tensor y = linear(e.x, W);
  e.forward(y);
  lora_merge<double>(e.weights(), 1.0, merged.data<double>());
  EXPECT_TRUE(all_close(merged, sum(W, e.delta()), kRounding));
  EXPECT_TRUE(all_close(linear(e.x, merged), y, kRounding));
}

TEST(Lora, UnmergeTakesTheChangeOffAgain) {
  const Example e;
  const Tensor W = normal_tensor({e.N, e.K}, 9), restored = W.clone();
  lora_merge<double>(e.weights(), 1.0, restored.data<double>());
  EXPECT_FALSE(all_close(restored, W, 0.01));
  lora_merge<double>(e.weights(), -1.0, restored.data<double>());
  EXPECT_TRUE(all_close(restored, W, kRounding)) << "up to the rounding of two additions";
}

TEST(Lora, FloatAgreesWithDouble) {
  const Example e;
  const Tensor x = e.x.to(DType::f32), A = e.A.to(DType::f32), B = e.B.to(DType::f32);
  const Tensor y = Tensor::zeros(DType::f32, {e.T, e.N}), u = Tensor::empty(DType::f32, {e.T, e.R});
  const Tensor scratch = Tensor::empty(DType::f32, {e.T, e.K});
  lora_forward<float>({e.K, e.N, e.R, A.data<float>(), B.data<float>(), 0.75f}, e.T,
                      x.data<float>(), {}, scratch.data<float>(), u.data<float>(), y.data<float>(),
                      e.N);
  // |u| <= 7·3·3 and |y| <= 3·63·3; each of K + R + 4 roundings is at most 2^-24 of it: 5e-4.
  EXPECT_TRUE(all_close(y.to(DType::f64), linear(e.x, e.delta()), 5e-4));
}

}  // namespace
}  // namespace qlora
