#include "quantization/normal_quantiles.h"

#include <algorithm>

#include "fixtures.h"
#include "quantization/nf4.h"
#include "support/matcher.h"

namespace qlora {
namespace {

using testing::bits_of;
using testing::is_close;

// 1 - Φ(x), the upper tail.
double upper_tail(double x) {
  return std::erfc(x / std::sqrt(2.0)) / 2.0;
}

TEST(NormalQuantile, PrintedTables) {
  // Abramowitz and Stegun, table 26.5, and the quantiles of the usual tests; 15 digits.
  EXPECT_TRUE(is_close(normal_quantile(0.75), 0.674489750196082, 1e-15));
  EXPECT_TRUE(is_close(normal_quantile(0.9), 1.28155156554460, 5e-15));
  EXPECT_TRUE(is_close(normal_quantile(0.975), 1.95996398454005, 5e-15));
  EXPECT_TRUE(is_close(normal_quantile(0.995), 2.57582930354890, 5e-15));
  EXPECT_EQ(normal_quantile(0.5), 0.0);
}

TEST(NormalQuantile, UndoesTheDistribution) {
  for (const double tail : {0.49, 0.3, 0.1, 1e-2, 1e-3, 1e-6, 1e-12, 1e-30}) {
    const double x = -normal_quantile(tail);
    EXPECT_GT(x, 0.0);
    // An error of ulp(x) moves the tail by about x² ulps of it: below 150 · 2e-16 here.
    EXPECT_TRUE(is_close(upper_tail(x), tail, 0.0, 1e-13)) << tail;
  }
}

TEST(NormalQuantile, IsOddAroundOneHalf) {
  for (int k = 1; k < 64; ++k) {
    const double p = k / 64.0;
    EXPECT_EQ(normal_quantile(1.0 - p), -normal_quantile(p)) << p;
  }
}

TEST(NormalQuantile, Rises) {
  double last = -INFINITY;
  for (int k = 1; k < 1000; ++k) {
    const double x = normal_quantile(k / 1000.0);
    EXPECT_GT(x, last) << k;
    last = x;
  }
}

TEST(NormalQuantile, EndsAreInfiniteAndBeyondThemIsNothing) {
  EXPECT_EQ(normal_quantile(0.0), -INFINITY);
  EXPECT_EQ(normal_quantile(1.0), INFINITY);
  EXPECT_THROW(normal_quantile(-1e-9), std::invalid_argument);
  EXPECT_THROW(normal_quantile(1.5), std::invalid_argument);
  EXPECT_THROW(normal_quantile(NAN), std::invalid_argument);
}

TEST(NormalMap, HasThePublishedBits) {
  // QLoRA paper, appendix E, as float32.
  const std::array<std::uint32_t, 16> bits{0xbf800000, 0xbf3239b1, 0xbf066b30, 0xbeca32a0,
                                           0xbe91a24d, 0xbe3d353f, 0xbdba7871, 0x00000000,
                                           0x3da2faff, 0x3e24cae3, 0x3e7c04dd, 0x3ead033a,
                                           0x3ee1a4b8, 0x3f1007ab, 0x3f3913b3, 0x3f800000};
  const Codebook code = create_normal_map();
  for (std::size_t k = 0; k < 16; ++k) {
    EXPECT_EQ(bits_of(code[k]), bits[k]) << k;
    EXPECT_EQ(bits_of(kNf4Code[k]), bits[k]) << k;
  }
}

TEST(NormalMap, SevenNegativeValuesZeroAndEightPositive) {
  for (const double offset : {0.6, 0.9, kNormalMapOffset, 0.999}) {
    const Codebook code = create_normal_map(offset);
    EXPECT_TRUE(std::is_sorted(code.begin(), code.end()));
    EXPECT_EQ(bits_of(code[7]), 0u);
    EXPECT_LT(code[6], 0.0f);
    EXPECT_GT(code[8], 0.0f);
    EXPECT_EQ(code[0], -1.0f);
    EXPECT_EQ(code[15], 1.0f);
  }
}

TEST(NormalMap, StepsOfProbabilityAreEqualOnEachSide) {
  const double offset = 0.9;
  const Codebook code = create_normal_map(offset);
  const double largest = normal_quantile(offset);
  const auto probability = [&](float value) { return 1.0 - upper_tail(double{value} * largest); };
  // Float32 holds a probability to 3e-8 and a value to 6e-8; the slope of Φ is below 0.4.
  for (int k = 0; k <= 7; ++k) {
    EXPECT_NEAR(probability(code[static_cast<std::size_t>(7 - k)]), 0.5 - k * (offset - 0.5) / 7,
                1.5e-7);
  }
  for (int k = 0; k <= 8; ++k) {
    EXPECT_NEAR(probability(code[static_cast<std::size_t>(7 + k)]), 0.5 + k * (offset - 0.5) / 8,
                1.5e-7);
  }
}

TEST(NormalMap, RefusesOffsetsWithoutAMap) {
  EXPECT_EQ(create_normal_map(0.75)[15], 1.0f);
  for (const double offset : {0.5, 1.0, 0.3, -1.0, double{NAN}}) {
    EXPECT_THROW(create_normal_map(offset), std::invalid_argument) << offset;
  }
}

TEST(Midpoints, LieHalfwayInFloat32) {
  Codebook code{};
  for (std::size_t k = 0; k < 16; ++k) code[k] = static_cast<float>(k * k) - 7.0f;
  const std::array<float, 15> between = midpoints(code);
  for (std::size_t k = 0; k < 15; ++k) {
    EXPECT_EQ(between[k], static_cast<float>(2 * k * k + 2 * k + 1) / 2.0f - 7.0f) << k;
  }
}

TEST(Midpoints, FourThresholdsOfTheKernelAreOneUnitOff) {
  const std::array<float, 15> between = midpoints(kNf4Code);
  for (std::size_t k = 0; k < 15; ++k) {
    const bool off = k == 0 || k == 8 || k == 12 || k == 14;
    EXPECT_EQ(testing::ulps_between(kNf4Thresholds[k], between[k]), off ? 1 : 0) << k;
  }
}

}  // namespace
}  // namespace qlora
