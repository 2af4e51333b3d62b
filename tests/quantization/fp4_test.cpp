#include "quantization/fp4.h"

#include "fixtures.h"

namespace qlora {
namespace {

using testing::bits_of;
using testing::Bytes;
using testing::Floats;
using testing::RoundTrip;

constexpr testing::FourBit kFp4{quantize_fp4, dequantize_fp4};

RoundTrip round_trip(const Floats& x, std::int64_t blocksize = 64) {
  return testing::round_trip(kFp4, x, blocksize);
}

int code_of(float x) {
  return round_trip({x, 1.0f}).codes[0];
}

// Codes by ascending magnitude.
constexpr std::array<int, 8> kOrder{0, 1, 6, 7, 4, 5, 2, 3};

TEST(Fp4, CodebookIsInTwelfths) {
  const std::array<double, 8> twelfths{0.0, 0.0625, 8.0, 12.0, 4.0, 6.0, 2.0, 3.0};
  for (std::size_t k = 0; k < 8; ++k) {
    EXPECT_EQ(kFp4Code[k], static_cast<float>(twelfths[k] / 12.0)) << k;
    EXPECT_EQ(bits_of(kFp4Code[k + 8]), bits_of(kFp4Code[k]) | 0x80000000u) << k;
  }
}

TEST(Fp4, AThresholdItselfGetsTheSmallerMagnitude) {
  for (std::size_t k = 0; k < 7; ++k) {
    const float threshold = kFp4Thresholds[k];
    const double midpoint = (double{kFp4Code[static_cast<std::size_t>(kOrder[k])]} +
                             double{kFp4Code[static_cast<std::size_t>(kOrder[k + 1])]}) /
                            2.0;
    EXPECT_NEAR(threshold, midpoint, 5e-7);  // literals of six digits and more
    EXPECT_EQ(code_of(testing::next_down(threshold)), kOrder[k]);
    EXPECT_EQ(code_of(threshold), kOrder[k]);
    EXPECT_EQ(code_of(testing::next_up(threshold)), kOrder[k + 1]);
    EXPECT_EQ(code_of(-threshold), 8 | kOrder[k]);
    EXPECT_EQ(code_of(testing::next_down(-threshold)), 8 | kOrder[k + 1]);
  }
}

TEST(Fp4, EveryLevelComesBack) {
  const Floats levels(kFp4Code.begin(), kFp4Code.end());
  const RoundTrip r = round_trip(levels);
  EXPECT_EQ(r.restored, levels);
  for (int k = 0; k < 16; ++k) {
    EXPECT_EQ(r.codes[static_cast<std::size_t>(k)], k == 8 ? 0 : k);  // -0 is not below zero
  }
}

TEST(Fp4, SmallNegativeValuesKeepTheirSign) {
  EXPECT_EQ(code_of(-1e-30f), 8);
  EXPECT_EQ(code_of(1e-30f), 0);
  EXPECT_EQ(bits_of(round_trip({-1e-30f, 1.0f}).restored[0]), 0x80000000u);
  EXPECT_EQ(code_of(-0x1p-126f), 8);                      // the smallest normal number
  EXPECT_EQ(code_of(-1e-39f), 0);                         // flushed
  EXPECT_EQ(round_trip({-0x1p-126f, 2.0f}).codes[0], 0);  // the product is flushed
  EXPECT_EQ(round_trip({-0x1p-126f, testing::next_up(1.0f)}).codes[0], 0);
}

TEST(Fp4, BlocksOfZerosTailsAndPadding) {
  EXPECT_EQ(round_trip({0.0f, -0.0f, 1e-40f, -1e-40f}).packed, (Bytes{0x00, 0x00}));
  EXPECT_EQ(round_trip({-0.5f}).packed, Bytes{0xb0});  // the padding is 0
  EXPECT_EQ(round_trip({1.0f, -1.0f}).packed, Bytes{0x3b});
  EXPECT_EQ(round_trip({}).packed, Bytes{});
  const Floats x = testing::normal_values(129, 4);
  const RoundTrip r = round_trip(x);
  EXPECT_EQ(r.absmax[2], std::abs(x[128]));
  EXPECT_EQ(r.restored[128], x[128]);
}

TEST(Fp4, ErrorIsAtMostHalfTheWidestGap) {
  for (const auto& [name, x] : testing::shapes_of_data(1001)) {
    SCOPED_TRACE(name);
    const RoundTrip r = round_trip(x);
    for (std::size_t i = 0; i < x.size(); ++i) {
      // (1 - 2/3) / 2, and a threshold literal that is up to 4e-7 off the midpoint
      EXPECT_LE(std::abs(x[i] - r.restored[i]), r.absmax[i / 64] * (1.0 / 6.0 + 1e-6));
    }
  }
}

TEST(Fp4, NonFiniteValues) {
  const float infinity = std::numeric_limits<float>::infinity();
  const RoundTrip nan = round_trip({NAN, -2.0f, 1.0f});
  EXPECT_EQ(nan.absmax[0], 2.0f);
  EXPECT_EQ(nan.codes, (std::vector<int>{0, 11, 5}));
  const RoundTrip inf = round_trip({infinity, -3.0f, 3.0f, -infinity});
  EXPECT_EQ(inf.absmax[0], infinity);
  EXPECT_EQ(inf.codes, (std::vector<int>{0, 0, 0, 0}));
}

TEST(Fp4, RefusesSizesThatDoNotFit) {
  const Floats x(100);
  Bytes packed(50);
  Floats absmax(2);
  EXPECT_NO_THROW(quantize_fp4(x, 64, packed, absmax));
  EXPECT_THROW(quantize_fp4(x, 32, packed, absmax), std::invalid_argument);
  EXPECT_THROW(dequantize_fp4(packed, absmax, 64, std::span(absmax)), std::invalid_argument);
}

}  // namespace
}  // namespace qlora
