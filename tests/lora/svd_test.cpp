#include "lora/svd.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "support/finite_difference.h"
#include "support/matcher.h"

namespace qlora {
namespace {

using testing::all_close;
using testing::is_close;
using testing::normal_tensor;

using Doubles = std::vector<double>;

Doubles normal(std::int64_t n, std::uint64_t seed) {
  const auto values = normal_tensor({n}, seed);
  return {values.data<double>(), values.data<double>() + n};
}

// X (N,P) · Y (P,K).
Doubles product(std::int64_t N, std::int64_t P, std::int64_t K, const Doubles& X,
                const Doubles& Y) {
  Doubles out(N * K, 0.0);
  for (std::int64_t n = 0; n < N; ++n) {
    for (std::int64_t p = 0; p < P; ++p) {
      for (std::int64_t k = 0; k < K; ++k) out[n * K + k] += X[n * P + p] * Y[p * K + k];
    }
  }
  return out;
}

double distance(const Doubles& a, const Doubles& b) {
  double sum = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return std::sqrt(sum);
}

// Columns of U (N,P) are orthonormal: within the Jacobi tolerance of four eps, and rounding.
void expect_orthonormal(std::int64_t N, std::int64_t P, const Doubles& U) {
  for (std::int64_t a = 0; a < P; ++a) {
    for (std::int64_t b = 0; b < P; ++b) {
      double dot = 0.0;
      for (std::int64_t n = 0; n < N; ++n) dot += U[n * P + a] * U[n * P + b];
      EXPECT_TRUE(is_close(dot, a == b ? 1.0 : 0.0, 1e-13)) << a << ", " << b;
    }
  }
}

TEST(Svd, OfAMatrixWorkedByHand) {
  // [3 0; 4 5]: WᵀW = [25 20; 20 25], whose eigenvalues are 45 and 5.
  const Svd d = svd(2, 2, Doubles{3, 0, 4, 5});
  EXPECT_TRUE(all_close(d.s, Doubles{std::sqrt(45.0), std::sqrt(5.0)}, 1e-14));
}

TEST(Svd, FactorsGiveTheMatrixBack) {
  for (const auto& [N, K] : {std::pair<std::int64_t, std::int64_t>{9, 5}, {5, 9}, {7, 7}, {1, 4}}) {
    const Doubles W = normal(N * K, 3);
    const Svd d = svd(N, K, W);
    ASSERT_EQ(d.P, std::min(N, K));
    expect_orthonormal(N, d.P, d.U);
    expect_orthonormal(K, d.P, d.V);
    EXPECT_TRUE(std::is_sorted(d.s.rbegin(), d.s.rend()));
    Doubles B(N * d.P), A(d.P * K);
    low_rank_factors(d, d.P, B, A);
    EXPECT_TRUE(all_close(product(N, d.P, K, B, A), W, 1e-13));
    EXPECT_TRUE(is_close(truncation_error(d.s, 0), distance(W, Doubles(W.size())), 1e-13));
  }
}

TEST(Svd, ErrorIsTheRootOfTheRemainingSquares) {
  const std::int64_t N = 8, K = 6;
  const Doubles W = normal(N * K, 4);
  const Svd d = svd(N, K, W);
  for (std::int64_t R = 1; R <= K; ++R) {
    Doubles B(N * R), A(R * K);
    low_rank_factors(d, R, B, A);
    const double error = distance(W, product(N, R, K, B, A));
    EXPECT_TRUE(is_close(error, truncation_error(d.s, R), 1e-13)) << R;
    // Nothing of this rank is nearer: moving a factor makes it worse.
    B[0] += 1e-3;
    EXPECT_TRUE(R == K || distance(W, product(N, R, K, B, A)) > error) << R;
  }
  EXPECT_EQ(truncation_error(d.s, K), 0.0);
  EXPECT_EQ(truncation_error(d.s, K + 1), 0.0);
}

TEST(Svd, RankOfAProductIsItsInnerDimension) {
  const std::int64_t N = 12, K = 10, R = 3;
  const Doubles W = product(N, R, K, normal(N * R, 5), normal(R * K, 6));
  const Svd d = svd(N, K, W);
  EXPECT_EQ(numerical_rank(d.s), R);
  Doubles B(N * R), A(R * K);
  low_rank_factors(d, R, B, A);
  EXPECT_TRUE(all_close(product(N, R, K, B, A), W, 1e-13)) << "exact at its own rank";
}

TEST(Svd, ZeroAndEqualColumns) {
  const Svd zero = svd(3, 2, Doubles(6, 0.0));
  EXPECT_EQ(zero.s, (Doubles{0, 0}));
  EXPECT_EQ(numerical_rank(zero.s), 0);
  const Svd equal = svd(2, 2, Doubles{1, 1, 1, 1});
  EXPECT_TRUE(all_close(equal.s, Doubles{2, 0}, 1e-15));
  EXPECT_EQ(numerical_rank(equal.s), 1);
}

TEST(Svd, RefusesWhatHasNone) {
  EXPECT_THROW(svd(0, 2, {}), std::invalid_argument);
  EXPECT_THROW(svd(2, 2, Doubles{1, 2, 3}), std::invalid_argument);
  EXPECT_THROW(svd(1, 1, Doubles{std::numeric_limits<double>::quiet_NaN()}), std::invalid_argument);
  const Svd d = svd(2, 3, normal(6, 7));
  Doubles B(6), A(9);
  EXPECT_THROW(low_rank_factors(d, 3, B, A), std::invalid_argument);
  EXPECT_THROW(low_rank_factors(d, 0, B, A), std::invalid_argument);
  EXPECT_THROW(low_rank_factors(d, 2, B, A), std::invalid_argument) << "B and A are too long";
}

}  // namespace
}  // namespace qlora
