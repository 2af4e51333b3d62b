// An adapter beside a frozen linear map learns a change of that map, and nothing else moves.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "lora/lora.h"
#include "lora/svd.h"
#include "support/finite_difference.h"
#include "support/matcher.h"

namespace qlora {
namespace {

using testing::all_close;
using testing::normal_tensor;

// y* = x · (W + C)ᵀ with a change C (N,K) of rank two.
struct Regression {
  std::int64_t T = 40, K = 8, N = 6;
  Tensor x = normal_tensor({T, K}, 1), W = normal_tensor({N, K}, 2);
  Tensor left = normal_tensor({N, 2}, 3), right = normal_tensor({2, K}, 4);
  std::vector<double> base = std::vector<double>(T * N), wanted = std::vector<double>(T * N);

  Regression() {
    for (std::int64_t t = 0; t < T; ++t) {
      for (std::int64_t n = 0; n < N; ++n) {
        for (std::int64_t k = 0; k < K; ++k) {
          const double x_tk = x.data<double>()[t * K + k];
          base[t * N + n] += x_tk * W.data<double>()[n * K + k];
          for (std::int64_t r = 0; r < 2; ++r) {
            wanted[t * N + n] +=
                x_tk * left.data<double>()[n * 2 + r] * right.data<double>()[r * K + k];
          }
        }
      }
    }
  }
};

struct Trained {
  std::vector<double> losses;  // Σ (y − y*)² before each step, and after the last one
  std::vector<double> A;
};

Trained train(const Regression& data, std::int64_t R, int steps) {
  const auto& [T, K, N, x, W, left, right, base, wanted] = data;
  std::vector<float> A0(R * K), B0(N * R);
  lora_initialize(K, N, R, {1, 2}, A0.data(), B0.data());
  std::vector<double> A(A0.begin(), A0.end()), B(B0.begin(), B0.end());
  const LoraWeights<double> lora{K, N, R, A.data(), B.data(), lora_scaling(2.0 * R, R, false)};
  Trained out;
  std::vector<double> u(T * R), du(T * R), dy(T * N);
  for (int step = 0; step <= steps; ++step) {
    std::vector<double> y = base, dA(R * K), dB(N * R);
    lora_forward<double>(lora, T, x.data<double>(), {}, nullptr, u.data(), y.data(), N);
    double loss = 0.0;
    for (std::size_t i = 0; i < y.size(); ++i) {
      dy[i] = 2.0 * (y[i] - base[i] - wanted[i]);
      loss += 0.25 * dy[i] * dy[i];
    }
    out.losses.push_back(loss);
    if (step == steps) break;
    lora_backward<double>(lora, T, x.data<double>(), u.data(), {}, dy.data(), N, nullptr, du.data(),
                          dA.data(), dB.data(), nullptr);
    for (std::size_t i = 0; i < A.size(); ++i) A[i] -= 2e-4 * dA[i];
    for (std::size_t i = 0; i < B.size(); ++i) B[i] -= 2e-4 * dB[i];
  }
  out.A = A;
  return out;
}

TEST(LoraRegression, ReachesTheBestLossOfItsRank) {
  const Regression data;
  const std::vector<double> s = svd(data.T, data.N, data.wanted).s;
  EXPECT_EQ(numerical_rank(s), 2);
  for (std::int64_t R = 1; R <= 3; ++R) {
    const double best = std::pow(truncation_error(s, R), 2);
    const std::vector<double> losses = train(data, R, 3000).losses;
    EXPECT_GE(losses.back(), best * (1 - 1e-12)) << "no change of rank " << R << " does better";
    EXPECT_LE(losses.back(), best + 1e-6 * losses.front()) << R;
  }
}

TEST(LoraRegression, TheBaseIsOnlyRead) {
  const Regression data;
  const Tensor W = data.W.clone(), x = data.x.clone();
  const std::vector<double> base = data.base;
  const Trained trained = train(data, 2, 50);
  EXPECT_LT(trained.losses.back(), 0.5 * trained.losses.front());
  EXPECT_TRUE(testing::same_bytes(data.W, W));
  EXPECT_TRUE(testing::same_bytes(data.x, x));
  EXPECT_EQ(data.base, base);
}

TEST(LoraRegression, AStandsStillForOneStepOnly) {
  const Regression data;
  const std::vector<double> start = train(data, 2, 0).A;
  EXPECT_EQ(train(data, 2, 1).A, start);
  EXPECT_NE(train(data, 2, 2).A, start);
}

}  // namespace
}  // namespace qlora
