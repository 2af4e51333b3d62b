#include "quantization/int4.h"

#include "fixtures.h"

namespace qlora {
namespace {

using testing::Bytes;
using testing::Floats;
using testing::RoundTrip;

RoundTrip round_trip(const Floats& x, std::int64_t blocksize = 64) {
  return testing::round_trip({quantize_int4, dequantize_int4}, x, blocksize);
}

TEST(Int4, FifteenEqualSteps) {
  Floats x;
  for (int k = -7; k <= 7; ++k) x.push_back(3.0f * static_cast<float>(k) / 7.0f);
  const RoundTrip r = round_trip(x);
  for (std::size_t i = 0; i < x.size(); ++i) {
    EXPECT_EQ(r.codes[i], static_cast<int>(i) + 1);
    EXPECT_NEAR(r.restored[i], x[i], 3e-7);  // two roundings of a number up to 3
  }
  EXPECT_EQ(r.restored.front(), -3.0f);
  EXPECT_EQ(r.restored[7], 0.0f);
  EXPECT_EQ(r.restored.back(), 3.0f);
}

TEST(Int4, NearestAndOfTwoTheLower) {
  const Floats x{7.0f, 0.5f, 0.51f, -0.5f, -0.49f, 6.49f, 6.51f, -6.51f};
  EXPECT_EQ(round_trip(x).codes, (std::vector<int>{15, 8, 9, 7, 8, 14, 15, 1}));
}

TEST(Int4, BlocksOfZerosAndNaN) {
  EXPECT_EQ(round_trip({0.0f, 0.0f, 0.0f}).packed, (Bytes{0x11, 0x11}));
  EXPECT_EQ(round_trip({0.0f, 0.0f}).restored, (Floats{0.0f, 0.0f}));
  EXPECT_EQ(round_trip({NAN, 7.0f}).codes, (std::vector<int>{1, 15}));
}

TEST(Int4, ErrorIsAtMostHalfAStep) {
  for (const auto& [name, x] : testing::shapes_of_data(1001)) {
    SCOPED_TRACE(name);
    const RoundTrip r = round_trip(x);
    for (std::size_t i = 0; i < x.size(); ++i) {
      // half of 1/7, and three roundings of numbers up to 7 and down again: 3 · 2^-24 of absmax
      ASSERT_LE(std::abs(x[i] - r.restored[i]), r.absmax[i / 64] * (1.0 / 14.0 + 2e-7));
    }
  }
}

TEST(Int4, ErrorOnNormalValues) {
  // 19.4 dB by an independent Monte Carlo (10.8 % RMS) for blocks of 64.
  const Floats x = testing::normal_values(1u << 18, 21);
  EXPECT_NEAR(testing::relative_rms(x, round_trip(x).restored), 0.108, 0.001);
}

TEST(Int4, RefusesSizesThatDoNotFit) {
  Bytes packed(50);
  Floats absmax(1);
  EXPECT_THROW(quantize_int4(Floats(100), 64, packed, absmax), std::invalid_argument);
  EXPECT_THROW(dequantize_int4(packed, absmax, 64, absmax), std::invalid_argument);
}

}  // namespace
}  // namespace qlora
