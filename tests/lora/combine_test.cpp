// Adapters combined: against the sum of their dense updates.
#include "lora/combine.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/random.h"
#include "lora/svd.h"
#include "support/matcher.h"

namespace qlora {
namespace {

using testing::all_close;
using testing::is_close;

constexpr std::int64_t kK = 9, kN = 7;

// An adapter with numbers of its own.
struct Lora {
  std::int64_t R = 0;
  float s = 1.0f;
  std::vector<float> A, B;

  Lora(std::int64_t rank, float scaling, std::uint64_t seed) : R(rank), s(scaling) {
    const Random random{seed, 3};
    for (std::int64_t i = 0; i < R * kK; ++i) A.push_back(random.normal(A.size()));
    for (std::int64_t i = 0; i < kN * R; ++i) B.push_back(random.normal(1000 + B.size()));
  }
  WeightedLora weighted(double weight) const {
    return {{kK, kN, R, A.data(), B.data(), s}, weight};
  }
};

// scale · B · A, by the definition of a product.
std::vector<double> dense(double scale, std::int64_t R, const std::vector<float>& A,
                          const std::vector<float>& B) {
  std::vector<double> out(kN * kK);
  for (std::int64_t n = 0; n < kN; ++n) {
    for (std::int64_t k = 0; k < kK; ++k) {
      for (std::int64_t r = 0; r < R; ++r) {
        out[static_cast<std::size_t>(n * kK + k)] +=
            scale * static_cast<double>(B[static_cast<std::size_t>(n * R + r)]) *
            static_cast<double>(A[static_cast<std::size_t>(r * kK + k)]);
      }
    }
  }
  return out;
}

std::vector<double> product(const LoraFactors& f) {
  return dense(1.0, f.R, f.A, f.B);
}

std::vector<double> sum(std::vector<double> a, const std::vector<double>& b) {
  for (std::size_t i = 0; i < a.size(); ++i) a[i] += b[i];
  return a;
}

std::vector<double> dense(double weight, const Lora& l) {
  return dense(weight * static_cast<double>(l.s), l.R, l.A, l.B);
}

// Factors in float32 whose numbers are of order 3, products of up to 20: 8 terms · 2^-24 · 20.
constexpr double kBound = 1e-5;

TEST(Combine, CatIsTheSumOfTheUpdates) {
  const Lora a(2, 2.0f, 1), b(3, 0.5f, 2);
  const LoraFactors f = combine_cat(std::vector{a.weighted(0.7), b.weighted(-0.4)});
  EXPECT_EQ(f.R, 5);
  EXPECT_TRUE(all_close(product(f), sum(dense(0.7, a), dense(-0.4, b)), kBound));
}

TEST(Combine, CatPutsWeightAndScalingIntoA) {
  const Lora a(2, 2.0f, 1), b(3, 0.5f, 2);
  const LoraFactors f = combine_cat(std::vector{a.weighted(0.75), b.weighted(1.0)});
  for (std::size_t i = 0; i < a.A.size(); ++i) EXPECT_EQ(f.A[i], 1.5f * a.A[i]);
  for (std::int64_t n = 0; n < kN; ++n) {
    EXPECT_EQ(f.B[static_cast<std::size_t>(n * 5)], a.B[static_cast<std::size_t>(n * 2)]);
    EXPECT_EQ(f.B[static_cast<std::size_t>(n * 5 + 2)], b.B[static_cast<std::size_t>(n * 3)]);
  }
}

TEST(Combine, LinearAddsTheFactors) {
  const Lora a(2, 2.0f, 1), b(2, 0.5f, 2);
  const LoraFactors f = combine_linear(std::vector{a.weighted(0.5), b.weighted(0.32)});
  EXPECT_EQ(f.R, 2);
  for (std::size_t i = 0; i < f.A.size(); ++i) {
    EXPECT_TRUE(is_close(f.A[i], 1.0 * a.A[i] + 0.4 * b.A[i], kBound));
  }
  for (std::size_t i = 0; i < f.B.size(); ++i) {
    EXPECT_TRUE(is_close(f.B[i], 1.0 * a.B[i] + 0.4 * b.B[i], kBound));
  }
}

// One adapter's sign stands in A alone: in both it would cancel.
TEST(Combine, LinearOfANegativeWeightSubtracts) {
  const Lora a(2, 2.0f, 1);
  const LoraFactors f = combine_linear(std::vector{a.weighted(-0.5)});
  EXPECT_TRUE(all_close(product(f), dense(-0.5, a), kBound));
}

TEST(Combine, LinearOfSeveralIsNotTheSumOfTheUpdates) {
  const Lora a(2, 1.0f, 1), b(2, 1.0f, 2);
  const LoraFactors f = combine_linear(std::vector{a.weighted(1), b.weighted(1)});
  // (B_1 + B_2)(A_1 + A_2): the mixed terms are what is more
  std::vector<float> A = a.A, B = a.B;
  for (std::size_t i = 0; i < A.size(); ++i) A[i] += b.A[i];
  for (std::size_t i = 0; i < B.size(); ++i) B[i] += b.B[i];
  EXPECT_TRUE(all_close(product(f), dense(1.0, 2, A, B), kBound));
  EXPECT_FALSE(all_close(product(f), sum(dense(1, a), dense(1, b)), 0.1));
}

TEST(Combine, SvdOfEnoughRankIsTheSum) {
  const Lora a(2, 2.0f, 1), b(3, 0.5f, 2);
  const LoraFactors f = combine_svd(std::vector{a.weighted(0.7), b.weighted(-0.4)}, 5);
  EXPECT_TRUE(all_close(product(f), sum(dense(0.7, a), dense(-0.4, b)), kBound));
}

TEST(Combine, SvdIsTheNearestOfItsRank) {
  const Lora a(2, 2.0f, 1), b(3, 0.5f, 2);
  const std::vector<double> all = sum(dense(0.7, a), dense(0.4, b));
  const Svd decomposed = svd(kN, kK, all);
  for (std::int64_t R = 1; R < 5; ++R) {
    const LoraFactors f = combine_svd(std::vector{a.weighted(0.7), b.weighted(0.4)}, R);
    const std::vector<double> ours = product(f);
    double squares = 0;
    for (std::size_t i = 0; i < all.size(); ++i) squares += std::pow(ours[i] - all[i], 2);
    EXPECT_TRUE(is_close(std::sqrt(squares), truncation_error(decomposed.s, R), 1e-4)) << R;
  }
}

TEST(Combine, SvdPutsTheSingularValuesIntoB) {
  const Lora a(2, 2.0f, 1);
  const LoraFactors f = combine_svd(std::vector{a.weighted(1)}, 2);
  for (std::int64_t r = 0; r < 2; ++r) {  // rows of A of length one
    double squares = 0;
    for (std::int64_t k = 0; k < kK; ++k) {
      squares += std::pow(f.A[static_cast<std::size_t>(r * kK + k)], 2);
    }
    EXPECT_TRUE(is_close(squares, 1.0, 1e-6));
  }
}

TEST(Combine, SvdBeyondTheRankIsZeros) {
  const Lora a(2, 2.0f, 1);
  const LoraFactors f = combine_svd(std::vector{a.weighted(1)}, 4);
  EXPECT_EQ(f.R, 4);
  EXPECT_EQ(f.A.size(), static_cast<std::size_t>(4 * kK));
  EXPECT_TRUE(all_close(product(f), dense(1, a), kBound));
}

TEST(Combine, PaddedFactorsHaveTheSameProduct) {
  const Lora a(2, 1.0f, 1);
  const LoraFactors f = with_rank({a.R, a.A, a.B}, kK, kN, 5);
  EXPECT_EQ(f.R, 5);
  EXPECT_TRUE(all_close(product(f), dense(1, a), 0, 1e-15));
  EXPECT_THROW(with_rank({a.R, a.A, a.B}, kK, kN, 1), std::invalid_argument);
}

TEST(Combine, RefusesWhatDoesNotFit) {
  const Lora a(2, 1.0f, 1), b(3, 1.0f, 2);
  WeightedLora other = a.weighted(1);
  other.lora.K = kK - 1;
  EXPECT_THROW(combine_linear(std::vector{a.weighted(1), b.weighted(1)}), std::invalid_argument);
  EXPECT_THROW(combine_cat(std::vector{a.weighted(1), other}), std::invalid_argument);
  EXPECT_THROW(combine_cat({}), std::invalid_argument);
  EXPECT_THROW(combine_linear({}), std::invalid_argument);
  EXPECT_THROW(combine_svd(std::vector{a.weighted(1)}, 0), std::invalid_argument);
}

}  // namespace
}  // namespace qlora
