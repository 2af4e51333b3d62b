// The transfer task of chapter 1. What is right is checked by its definition: an exponent must fit
// and the next lower one must not; an integer must be at least as near as every other.
#include "shift.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "core/random.h"
#include "support/matcher.h"

namespace qlora {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

std::vector<float> drawn(std::size_t n, float scale) {
  const Random random{7, 7};
  std::vector<float> x(n);
  for (std::size_t i = 0; i < n; ++i) x[i] = scale * random.normal(i);
  return x;
}

std::vector<std::int8_t> shifted(const std::vector<float>& x, int exponent) {
  std::vector<std::int8_t> q(x.size(), 99);
  quantize_shift(x, exponent, q);
  return q;
}

double largest_of(const std::vector<float>& x) {
  double largest = 0.0;
  for (const float value : x) largest = std::max(largest, std::abs(double{value}));
  return largest;
}

TEST(Shift, ExponentIsTheLeastThatFits) {
  for (const float scale : {1e-30f, 3e-5f, 0.02f, 1.0f, 77.0f, 1e6f, 1e30f}) {
    const std::vector<float> x = drawn(301, scale);
    const int e = shift_exponent(x);
    EXPECT_LE(largest_of(x), std::ldexp(127.0, e)) << scale;
    EXPECT_GT(largest_of(x), std::ldexp(127.0, e - 1)) << scale;
  }
}

TEST(Shift, ExponentAtItsBorders) {
  for (const int e : {-100, -7, -1, 0, 1, 7, 100}) {
    const auto border = static_cast<float>(std::ldexp(127.0, e));
    EXPECT_EQ(shift_exponent(std::vector{border}), e);
    EXPECT_EQ(shift_exponent(std::vector{-border}), e);
    EXPECT_EQ(shift_exponent(std::vector{std::nextafter(border, kInfinity)}), e + 1);
    EXPECT_EQ(shift_exponent(std::vector{std::nextafter(border, 0.0f)}), e);
  }
}

TEST(Shift, ExponentStaysInItsRange) {
  EXPECT_EQ(shift_exponent(std::vector{1e-45f, 0.0f}), -126);
  EXPECT_EQ(shift_exponent(std::vector{std::numeric_limits<float>::max()}), 121);
  EXPECT_EQ(shift_exponent(std::vector{0.0f, -0.0f}), 0);
  EXPECT_EQ(shift_exponent(std::vector<float>{}), 0);
}

TEST(Shift, ExponentIgnoresNaNAndRefusesInfinity) {
  EXPECT_EQ(shift_exponent(std::vector{kNaN, 127.0f, kNaN}), 0);
  EXPECT_EQ(shift_exponent(std::vector{kNaN}), 0);
  EXPECT_THROW(shift_exponent(std::vector{1.0f, -kInfinity}), std::invalid_argument);
}

TEST(Shift, EveryIntegerIsTheNearest) {
  for (const int e : {-9, -2, 0, 3}) {
    const double step = std::ldexp(1.0, e);
    const std::vector<float> x = drawn(500, static_cast<float>(50.0 * step));
    const std::vector<std::int8_t> q = shifted(x, e);
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double distance = std::abs(double{x[i]} - q[i] * step);
      for (int other = -127; other <= 127; ++other) {
        ASSERT_LE(distance, std::abs(double{x[i]} - other * step)) << x[i] << ' ' << other;
      }
    }
  }
}

TEST(Shift, TiesGoToEven) {
  EXPECT_EQ(shifted({2.0f, 6.0f, 10.0f, -2.0f, -6.0f, -10.0f}, 2),
            (std::vector<std::int8_t>{0, 2, 2, 0, -2, -2}));
  EXPECT_EQ(shifted({0.49999997f, -0.49999997f}, 0), (std::vector<std::int8_t>{0, 0}));
}

TEST(Shift, ClampsToTheNarrowRange) {
  EXPECT_EQ(shifted({1000.0f, -1000.0f, -128.0f, kInfinity, -kInfinity, kNaN}, 0),
            (std::vector<std::int8_t>{127, -127, -127, 127, -127, 0}));
}

TEST(Shift, RestoresExactly) {
  std::vector<std::int8_t> q;
  for (int i = -127; i <= 127; ++i) q.push_back(static_cast<std::int8_t>(i));
  for (const int e : {-126, -20, -1, 0, 5, 121}) {
    std::vector<float> x(q.size(), NAN);
    dequantize_shift(q, e, x);
    for (std::size_t i = 0; i < q.size(); ++i) {
      EXPECT_EQ(double{x[i]}, std::ldexp(static_cast<double>(q[i]), e));
    }
    EXPECT_EQ(shifted(x, e), q) << e;  // and there again
  }
}

TEST(Shift, ErrorIsAtMostHalfAStep) {
  const std::vector<float> x = drawn(1000, 0.03f);
  const int e = shift_exponent(x);
  std::vector<float> restored(x.size(), NAN);
  dequantize_shift(shifted(x, e), e, restored);
  for (std::size_t i = 0; i < x.size(); ++i) {
    // a power of two rounds nothing: neither the quotient nor the product
    EXPECT_TRUE(testing::is_close(restored[i], x[i], std::ldexp(0.5, e))) << x[i];
  }
}

TEST(Shift, RefusesSizesThatDoNotFit) {
  std::vector<std::int8_t> two(2);
  std::vector<float> three(3);
  EXPECT_THROW(quantize_shift(three, 0, two), std::invalid_argument);
  EXPECT_THROW(dequantize_shift(two, 0, three), std::invalid_argument);
}

}  // namespace
}  // namespace qlora
