#include "core/vector_math.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "support/matcher.h"

namespace qlora {
namespace {

template <typename T>
class VectorMath : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
struct TypeNames {
  template <typename T>
  static std::string GetName(int) {
    return std::is_same_v<T, float> ? "float" : "double";
  }
};
TYPED_TEST_SUITE(VectorMath, Types, TypeNames);

// An odd number of points, so that there is a tail, over what exp can represent as normal numbers.
template <typename T>
std::vector<T> points() {
  const T low = std::log(std::numeric_limits<T>::min()) + 1;
  const T high = std::log(std::numeric_limits<T>::max()) - 1;
  std::vector<T> x;
  for (int i = 0; i <= 4000; ++i) x.push_back(low + (high - low) * static_cast<T>(i) / 4000);
  for (int i = -1000; i <= 1000; ++i) x.push_back(static_cast<T>(i) / 128);
  x.push_back(0);
  return x;
}

// The ulps that the header promises for exp, and `more`. An ulp of a number is at most epsilon
// times it.
template <typename T>
void expect_near(const std::vector<T>& x, const std::vector<T>& actual, double more,
                 long double (*f)(long double)) {
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double ulps = (std::abs(x[i]) <= 20 ? 2.0 : 5.0) + more;
    ASSERT_TRUE(testing::is_close(actual[i], static_cast<double>(f(x[i])), 0.0,
                                  ulps * std::numeric_limits<T>::epsilon()))
        << "at " << x[i];
  }
}

TYPED_TEST(VectorMath, ExpIsAsNearAsPromised) {
  const auto x = points<TypeParam>();
  std::vector<TypeParam> y(x.size());
  vector_exp<TypeParam>(static_cast<std::int64_t>(x.size()), x.data(), y.data());
  expect_near<TypeParam>(x, y, 0.0, [](long double v) { return std::exp(v); });
}

TYPED_TEST(VectorMath, SigmoidIsAsNearAsPromised) {
  // To the exponential's error come half an ulp of the sum and half of the inverse, each of which
  // may be doubled where the quotient falls just above a power of two.
  const auto x = points<TypeParam>();
  std::vector<TypeParam> y(x.size());
  vector_sigmoid<TypeParam>(static_cast<std::int64_t>(x.size()), x.data(), y.data());
  expect_near<TypeParam>(x, y, 2.0, [](long double v) { return 1.0L / (1.0L + std::exp(-v)); });
}

TYPED_TEST(VectorMath, WorksInPlaceAndOnTails) {
  for (std::size_t n = 0; n < 40; ++n) {
    std::vector<TypeParam> x(n + 1, 7);  // one more, which must stay
    for (std::size_t i = 0; i < n; ++i) x[i] = static_cast<TypeParam>(i) / 8;
    vector_exp<TypeParam>(static_cast<std::int64_t>(n), x.data(), x.data());
    for (std::size_t i = 0; i < n; ++i) {
      EXPECT_TRUE(testing::is_close(x[i], std::exp(static_cast<double>(i) / 8), 0,
                                    2 * std::numeric_limits<TypeParam>::epsilon()));
    }
    EXPECT_EQ(x[n], 7);
  }
}

TYPED_TEST(VectorMath, LimitsAreThoseOfTheFunctions) {
  using T = TypeParam;
  const T inf = std::numeric_limits<T>::infinity();
  const std::vector<T> x{-inf, inf, -1e4, 1e4, std::numeric_limits<T>::quiet_NaN(), T(-0.0)};
  std::vector<T> e(x.size());
  std::vector<T> s(x.size());
  vector_exp<T>(static_cast<std::int64_t>(x.size()), x.data(), e.data());
  vector_sigmoid<T>(static_cast<std::int64_t>(x.size()), x.data(), s.data());
  EXPECT_EQ(e[0], 0);
  EXPECT_EQ(e[1], inf);
  EXPECT_EQ(e[2], 0);
  EXPECT_EQ(e[3], inf);
  EXPECT_TRUE(std::isnan(e[4]));
  EXPECT_EQ(e[5], 1);
  EXPECT_EQ(s[0], 0);
  EXPECT_EQ(s[1], 1);
  EXPECT_EQ(s[2], 0);
  EXPECT_EQ(s[3], 1);
  EXPECT_TRUE(std::isnan(s[4]));
  EXPECT_EQ(s[5], 0.5);
}

// A value's bits do not hang on where it lies, nor on its neighbors: a run in another process, or
// a row at another place, gives the same ones.
TEST(VectorExp, DoesNotDependOnAddressOrNeighbors) {
  std::vector<float> memory(64 + 100), out(64 + 100), reference(37);
  std::vector<float> x(37);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = -0.37f * static_cast<float>(i) + 1.0f;
  vector_exp(37, x.data(), reference.data());
  for (std::size_t offset = 0; offset < 64; ++offset) {
    std::copy(x.begin(), x.end(), memory.begin() + static_cast<std::ptrdiff_t>(offset));
    vector_exp(37, memory.data() + offset, out.data() + offset);
    for (std::size_t i = 0; i < x.size(); ++i) EXPECT_EQ(out[offset + i], reference[i]);
  }
  for (std::size_t i = 0; i < x.size(); ++i) {
    float alone = 0;
    vector_exp(1, x.data() + i, &alone);
    EXPECT_EQ(alone, reference[i]);
  }
}

}  // namespace
}  // namespace qlora
