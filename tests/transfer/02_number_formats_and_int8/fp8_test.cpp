// The transfer task of chapter 2. What is right is checked by its definition: the numbers of an
// exponent stand one step apart, and a byte must be at least as near as its two neighbors.
#include "fp8.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "core/random.h"

namespace qlora {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// The 127 numbers that are not negative, in the order of their bytes: eight steps of 2^-9 from 0,
// then eight of each power of two from 2^-6 on.
std::vector<double> numbers() {
  std::vector<double> all;
  double x = 0.0;
  for (int group = 0; group < 16; ++group) {
    const double step = std::ldexp(1.0, std::max(group, 1) - 10);
    for (int i = 0; i < 8; ++i, x += step) all.push_back(x);
  }
  all.pop_back();  // 480 is NaN
  return all;
}

TEST(Fp8, KnownBytes) {
  // OCP 8-bit Floating Point Specification, table 2
  EXPECT_EQ(from_e4m3(0x38), 1.0f);
  EXPECT_EQ(from_e4m3(0x7e), 448.0f);
  EXPECT_EQ(from_e4m3(0x08), 0x1p-6f);
  EXPECT_EQ(from_e4m3(0x07), 0.875f * 0x1p-6f);
  EXPECT_EQ(from_e4m3(0x01), 0x1p-9f);
  EXPECT_EQ(from_e4m3(0xc4), -3.0f);
  EXPECT_EQ(to_e4m3(1.0f), 0x38);
  EXPECT_EQ(to_e4m3(-3.0f), 0xc4);
}

TEST(Fp8, EveryByteIsItsNumber) {
  const std::vector<double> all = numbers();
  ASSERT_EQ(all.back(), 448.0);
  for (std::size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(double{from_e4m3(static_cast<std::uint8_t>(i))}, all[i]) << i;
    EXPECT_EQ(double{from_e4m3(static_cast<std::uint8_t>(i + 128))}, -all[i]) << i;
  }
}

TEST(Fp8, EveryNumberComesBack) {
  for (int bits = 0; bits < 256; ++bits) {
    if ((bits & 0x7f) == 0x7f) continue;
    EXPECT_EQ(to_e4m3(from_e4m3(static_cast<std::uint8_t>(bits))), bits);
  }
}

TEST(Fp8, TakesTheNearest) {
  const std::vector<double> all = numbers();
  const Random random{11};
  for (std::uint64_t i = 0; i < 20000; ++i) {
    const int exponent = static_cast<int>(random.below(2 * i, 20)) - 11;
    const float x = std::ldexp(1.0f + random.uniform(2 * i + 1), exponent);
    if (x > 448.0f) continue;
    const std::size_t byte = to_e4m3(x);
    ASSERT_LT(byte, all.size()) << x;
    const double distance = std::abs(double{x} - all[byte]);
    if (byte > 0) {
      ASSERT_LE(distance, std::abs(double{x} - all[byte - 1])) << x;
    }
    if (byte + 1 < all.size()) {
      ASSERT_LE(distance, std::abs(double{x} - all[byte + 1])) << x;
    }
  }
}

TEST(Fp8, TiesGoToTheEvenMantissa) {
  const std::vector<double> all = numbers();
  for (std::size_t i = 0; i + 1 < all.size(); ++i) {
    const auto tie = static_cast<float>((all[i] + all[i + 1]) / 2.0);
    const auto even = static_cast<std::uint8_t>(i % 2 == 0 ? i : i + 1);
    EXPECT_EQ(to_e4m3(tie), even) << tie;
    EXPECT_EQ(to_e4m3(-tie), even | 0x80) << tie;
    EXPECT_EQ(to_e4m3(std::nextafter(tie, 0.0f)), i) << tie;
    EXPECT_EQ(to_e4m3(std::nextafter(tie, kInfinity)), i + 1) << tie;
  }
}

TEST(Fp8, WhatRoundsUpToAPowerOfTwo) {
  EXPECT_EQ(to_e4m3(1.96f), 0x40);                           // 2
  EXPECT_EQ(to_e4m3(std::nextafter(0x1p-6f, 0.0f)), 0x08);   // the smallest normal number
  EXPECT_EQ(to_e4m3(std::nextafter(256.0f, 0.0f)), 0x78);    // 256
  EXPECT_EQ(to_e4m3(-std::nextafter(0x1p-9f, 0.0f)), 0x81);  // the smallest of all
}

TEST(Fp8, TooLargeBecomes448) {
  for (const float x : {449.0f, 463.0f, 464.0f, 465.0f, 480.0f, 512.0f, 1e30f, kInfinity}) {
    EXPECT_EQ(to_e4m3(x), 0x7e) << x;
    EXPECT_EQ(to_e4m3(-x), 0xfe) << x;
  }
}

TEST(Fp8, SmallOnesBecomeSubnormalOrZero) {
  EXPECT_EQ(to_e4m3(0x1p-10f), 0x00);
  EXPECT_EQ(to_e4m3(std::nextafter(0x1p-10f, 1.0f)), 0x01);
  EXPECT_EQ(to_e4m3(3.0f * 0x1p-10f), 0x02);  // the tie between 2^-9 and 2^-8
  EXPECT_EQ(to_e4m3(5.0f * 0x1p-9f), 0x05);
  EXPECT_EQ(to_e4m3(1e-30f), 0x00);
  EXPECT_EQ(to_e4m3(std::numeric_limits<float>::denorm_min()), 0x00);
}

TEST(Fp8, SignAndNaN) {
  EXPECT_EQ(to_e4m3(0.0f), 0x00);
  EXPECT_EQ(to_e4m3(-0.0f), 0x80);
  EXPECT_EQ(to_e4m3(-1e-30f), 0x80);
  EXPECT_TRUE(std::signbit(from_e4m3(0x80)));
  EXPECT_EQ(to_e4m3(std::numeric_limits<float>::quiet_NaN()), 0x7f);
  EXPECT_EQ(to_e4m3(-std::numeric_limits<float>::quiet_NaN()), 0x7f);
  EXPECT_TRUE(std::isnan(from_e4m3(0x7f)));
  EXPECT_TRUE(std::isnan(from_e4m3(0xff)));
}

}  // namespace
}  // namespace qlora
