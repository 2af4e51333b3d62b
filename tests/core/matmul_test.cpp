#include "core/matmul.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "core/random.h"
#include "support/matcher.h"

namespace qlora {
namespace {

template <typename T>
struct Product {
  Transpose trans_a, trans_b;
  std::int64_t M, N, K;
  T alpha = 1, beta = 0;
  std::int64_t pad = 0;  // elements between stored rows, beyond their length
};

template <typename T>
std::vector<T> random_values(std::size_t n, std::uint64_t stream) {
  const Random random{.seed = 11, .stream = stream};
  std::vector<T> values(n);
  for (std::size_t i = 0; i < n; ++i) values[i] = static_cast<T>(random.normal(i));
  return values;
}

// Runs a product and holds each element against a triple loop in long double.
//
// The bound is that of any order of summation (Higham, Accuracy and Stability, 3.1): with u the
// unit roundoff, the K products and sums, the scaling by alpha, the addition and the scaling by
// beta are at most K + 3 roundings of terms of size |alpha| Σ|a||b| + |beta||c|, so the error is at
// most gamma(K + 3) times that, gamma(n) = n u / (1 - n u).
template <typename T>
void expect_right(const Product<T>& p) {
  const auto size = [](std::int64_t n) { return static_cast<std::size_t>(n); };
  const bool ta = p.trans_a == Transpose::yes;
  const bool tb = p.trans_b == Transpose::yes;
  const std::int64_t lda = (ta ? p.M : p.K) + p.pad;
  const std::int64_t ldb = (tb ? p.K : p.N) + p.pad;
  const std::int64_t ldc = p.N + p.pad;
  const auto a = random_values<T>(size((ta ? p.K : p.M) * lda), 1);
  const auto b = random_values<T>(size((tb ? p.N : p.K) * ldb), 2);
  const auto c = random_values<T>(size(p.M * ldc), 3);
  auto result = c;
  matmul<T>(p.trans_a, p.trans_b, p.M, p.N, p.K, p.alpha, a.data(), lda, b.data(), ldb, p.beta,
            result.data(), ldc);
  const double u = std::numeric_limits<T>::epsilon() / 2;
  const double n = static_cast<double>(p.K + 3) * u;
  const double gamma = n / (1.0 - n);
  for (std::int64_t i = 0; i < p.M; ++i) {
    for (std::int64_t j = 0; j < ldc; ++j) {
      const std::size_t at = size(i * ldc + j);
      if (j >= p.N) {  // between the rows nothing may be written
        ASSERT_EQ(result[at], c[at]);
        continue;
      }
      long double sum = 0;
      long double absolute = 0;
      for (std::int64_t k = 0; k < p.K; ++k) {
        const long double term = static_cast<long double>(a[size(ta ? k * lda + i : i * lda + k)]) *
                                 b[size(tb ? j * ldb + k : k * ldb + j)];
        sum += term;
        absolute += std::abs(term);
      }
      const long double old = static_cast<long double>(p.beta) * c[at];
      const auto expected = static_cast<double>(p.alpha * sum + old);
      const auto bound = gamma * static_cast<double>(std::abs(p.alpha) * absolute + std::abs(old));
      // the cast to double of a long double, for T = double: half an ulp more
      ASSERT_TRUE(testing::is_close(result[at], expected, bound, 0x1p-53))
          << "element " << i << ", " << j << " of " << p.M << "x" << p.N << "x" << p.K;
    }
  }
}

template <typename T>
class Matmul : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
struct TypeNames {
  template <typename T>
  static std::string GetName(int) {
    return std::is_same_v<T, float> ? "float" : "double";
  }
};
TYPED_TEST_SUITE(Matmul, Types, TypeNames);

constexpr Transpose kBoth[] = {Transpose::no, Transpose::yes};

TYPED_TEST(Matmul, AllTranspositionsOfOddSizes) {
  const std::int64_t sizes[][3] = {{1, 1, 1},    {1, 7, 3},     {7, 1, 5},
                                   {3, 5, 1},    {31, 33, 17},  {48, 64, 8},
                                   {65, 49, 63}, {97, 13, 129}, {13, 97, 129}};
  for (const auto& s : sizes) {
    for (Transpose ta : kBoth) {
      for (Transpose tb : kBoth) {
        expect_right<TypeParam>({.trans_a = ta, .trans_b = tb, .M = s[0], .N = s[1], .K = s[2]});
      }
    }
  }
}

TYPED_TEST(Matmul, StridesAlphaAndBeta) {
  for (Transpose ta : kBoth) {
    for (Transpose tb : kBoth) {
      for (TypeParam alpha : {TypeParam{1}, TypeParam{-0.37}, TypeParam{0}}) {
        for (TypeParam beta : {TypeParam{0}, TypeParam{1}, TypeParam{0.61}}) {
          expect_right<TypeParam>({.trans_a = ta,
                                   .trans_b = tb,
                                   .M = 19,
                                   .N = 23,
                                   .K = 29,
                                   .alpha = alpha,
                                   .beta = beta,
                                   .pad = 5});
        }
      }
    }
  }
}

TYPED_TEST(Matmul, SizesThatUseEveryThread) {
  expect_right<TypeParam>(
      {.trans_a = Transpose::no, .trans_b = Transpose::yes, .M = 150, .N = 70, .K = 90, .pad = 3});
  expect_right<TypeParam>({.trans_a = Transpose::yes,
                           .trans_b = Transpose::no,
                           .M = 70,
                           .N = 150,
                           .K = 90,
                           .beta = 1,
                           .pad = 3});
}

TYPED_TEST(Matmul, BetaZeroNeverReadsC) {
  using T = TypeParam;
  const std::vector<T> a{1, 2, 3, 4};
  for (std::int64_t K : {2, 0}) {
    std::vector<T> c(4, std::numeric_limits<T>::quiet_NaN());
    matmul<T>(Transpose::no, Transpose::no, 2, 2, K, 1, a.data(), 2, a.data(), 2, 0, c.data(), 2);
    EXPECT_EQ(c, (K == 2 ? std::vector<T>{7, 10, 15, 22} : std::vector<T>(4, T{0})));
  }
}

TYPED_TEST(Matmul, ANaNInAReachesItsRowOnly) {
  using T = TypeParam;
  const T nan = std::numeric_limits<T>::quiet_NaN();
  const std::vector<T> a{1, nan, 3, 4};
  const std::vector<T> b{1, 0, 0, 1};
  std::vector<T> c(4);
  matmul<T>(Transpose::no, Transpose::no, 2, 2, 2, 1, a.data(), 2, b.data(), 2, 0, c.data(), 2);
  EXPECT_TRUE(std::isnan(c[0]) && std::isnan(c[1]));  // NaN · 0 is NaN
  EXPECT_EQ(c[2], 3);
  EXPECT_EQ(c[3], 4);
}

TYPED_TEST(Matmul, EmptyProducts) {
  using T = TypeParam;
  const std::vector<T> x(4, T{2});
  std::vector<T> c{1, 2, 3, 4};
  for (Transpose ta : kBoth) {
    for (Transpose tb : kBoth) {
      matmul<T>(ta, tb, 0, 2, 2, 1, x.data(), 2, x.data(), 2, 0, c.data(), 2);
      matmul<T>(ta, tb, 2, 0, 2, 1, x.data(), 2, x.data(), 2, 0, c.data(), 2);
      matmul<T>(ta, tb, 2, 2, 0, 1, x.data(), 2, x.data(), 2, 1, c.data(), 2);
    }
  }
  EXPECT_EQ(c, (std::vector<T>{1, 2, 3, 4}));
  matmul<T>(Transpose::no, Transpose::no, 2, 2, 0, 1, nullptr, 0, nullptr, 2, T(0.5), c.data(), 2);
  EXPECT_EQ(c, (std::vector<T>{0.5, 1, 1.5, 2}));
}

TYPED_TEST(Matmul, EqualCallsGiveEqualBits) {
  using T = TypeParam;
  const auto a = random_values<T>(130 * 70, 4);
  const auto b = random_values<T>(70 * 90, 5);
  std::vector<T> first(130 * 90);
  std::vector<T> again(130 * 90);
  for (auto* c : {&first, &again}) {
    matmul<T>(Transpose::no, Transpose::no, 130, 90, 70, 1, a.data(), 70, b.data(), 90, 0,
              c->data(), 90);
  }
  EXPECT_EQ(first, again);
}

#if defined(__SSE2__)
TYPED_TEST(Matmul, TakesSubnormalsForZeroAndLeavesTheThreadAsItWas) {
  using T = TypeParam;
  const T smallest = std::numeric_limits<T>::min();
  const std::vector<T> a{smallest / 2, smallest, smallest * 2};
  const std::vector<T> b{T(1) / 4, T(1024)};
  std::vector<T> c(6);
  matmul<T>(Transpose::no, Transpose::no, 3, 2, 1, 1, a.data(), 1, b.data(), 2, 0, c.data(), 2);
  EXPECT_EQ(c, (std::vector<T>{0, 0, 0, smallest * 1024, 0, smallest * 2048}));
  const volatile T after = a[0] / 2;
  EXPECT_GT(after, 0);
}
#endif

TYPED_TEST(Matmul, RefusesSizesAndStridesThatCannotBe) {
  using T = TypeParam;
  const std::vector<T> x(64);
  std::vector<T> c(64);
  const auto call = [&](Transpose ta, Transpose tb, std::int64_t M, std::int64_t lda,
                        std::int64_t ldb, std::int64_t ldc) {
    matmul<T>(ta, tb, M, 3, 4, 1, x.data(), lda, x.data(), ldb, 0, c.data(), ldc);
  };
  EXPECT_NO_THROW(call(Transpose::no, Transpose::no, 2, 4, 3, 3));
  EXPECT_NO_THROW(call(Transpose::yes, Transpose::yes, 2, 2, 4, 3));
  EXPECT_THROW(call(Transpose::no, Transpose::no, -1, 4, 3, 3), std::invalid_argument);
  EXPECT_THROW(call(Transpose::no, Transpose::no, 2, 3, 3, 3), std::invalid_argument);
  EXPECT_THROW(call(Transpose::yes, Transpose::no, 2, 1, 3, 3), std::invalid_argument);
  EXPECT_THROW(call(Transpose::no, Transpose::no, 2, 4, 2, 3), std::invalid_argument);
  EXPECT_THROW(call(Transpose::no, Transpose::yes, 2, 4, 3, 3), std::invalid_argument);
  EXPECT_THROW(call(Transpose::no, Transpose::no, 2, 4, 3, 2), std::invalid_argument);
}

}  // namespace
}  // namespace qlora
