#include "quantization/codebook.h"

#include <numeric>

#include "fixtures.h"
#include "quantization/nf4.h"

namespace qlora {
namespace {

using testing::bits_of;
using testing::Bytes;
using testing::Floats;

// Sixteen values that no other test has: 1 to 16.
constexpr Codebook kCount = [] {
  Codebook code{};
  std::iota(code.begin(), code.end(), 1.0f);
  return code;
}();
constexpr BytePairs kPairs = byte_pairs(kCount);
static_assert(kPairs[0x2f][0] == 3.0f && kPairs[0x2f][1] == 16.0f, "high nibble first");

Floats dequantized(const Bytes& packed, const Floats& absmax, std::int64_t blocksize,
                   std::size_t n) {
  Floats out(n, NAN);
  dequantize_codebook(kPairs, packed, absmax, blocksize, out);
  return out;
}

TEST(Codebook, HighNibbleFirstAndOneScaleABlock) {
  EXPECT_EQ(dequantized({0x01, 0x2f, 0xe3}, {10.0f, -0.5f}, 4, 6),
            (Floats{10.0f, 20.0f, 30.0f, 160.0f, -7.5f, -2.0f}));
}

TEST(Codebook, OddTailsTakeOneNibble) {
  EXPECT_EQ(dequantized({0x57}, {2.0f}, 64, 1), Floats{12.0f});
  for (const std::size_t n : {1u, 3u, 63u, 65u, 127u, 129u}) {
    const Floats x = testing::normal_values(n);
    const auto r = testing::round_trip({quantize_nf4, dequantize_nf4}, x);
    for (std::size_t i = 0; i < n; ++i) {
      EXPECT_EQ(r.restored[i], kNf4Code[static_cast<std::size_t>(r.codes[i])] * r.absmax[i / 64]);
    }
  }
}

TEST(Codebook, SubnormalMaximaAndProductsAreFlushed) {
  constexpr BytePairs pairs = byte_pairs(kNf4Code);
  const auto once = [&](std::uint8_t byte, float absmax) {
    Floats out(2, NAN);
    dequantize_codebook(pairs, Bytes{byte}, Floats{absmax}, 64, out);
    return out;
  };
  EXPECT_EQ(once(0x0f, 1e-39f), (Floats{0.0f, 0.0f}));
  EXPECT_EQ(bits_of(once(0x0f, 1e-39f)[0]), 0x80000000u);
  EXPECT_EQ(once(0x0f, 0x1p-126f), (Floats{-0x1p-126f, 0x1p-126f}));
  EXPECT_EQ(once(0x1e, 0x1p-126f), (Floats{0.0f, 0.0f}));  // 0.696 and 0.723 of it are subnormal
  // Around the maximum from which on no product can be subnormal, both ways give equal bits.
  for (const float absmax :
       {0x1p-118f, testing::next_down(0x1p-118f), testing::next_up(0x1p-118f)}) {
    for (int code = 0; code < 16; ++code) {
      const float expected = kNf4Code[static_cast<std::size_t>(code)] * absmax;
      EXPECT_EQ(bits_of(once(static_cast<std::uint8_t>(code << 4), absmax)[0]), bits_of(expected));
    }
  }
}

TEST(Codebook, InfiniteAndNaNMaxima) {
  const float infinity = std::numeric_limits<float>::infinity();
  Floats out(2);
  dequantize_codebook(byte_pairs(kNf4Code), Bytes{0x07}, Floats{infinity}, 64, out);
  EXPECT_EQ(out[0], -infinity);
  EXPECT_TRUE(std::isnan(out[1]));  // 0 * inf
  dequantize_codebook(byte_pairs(kNf4Code), Bytes{0x77}, Floats{NAN}, 64, out);
  EXPECT_TRUE(std::isnan(out[0]) && std::isnan(out[1]));
}

TEST(Codebook, RefusesSizesThatDoNotFit) {
  EXPECT_THROW(dequantized({1, 2}, {1.0f}, 64, 5), std::invalid_argument);
  EXPECT_THROW(dequantized({1, 2}, {1.0f}, 64, 2), std::invalid_argument);
  EXPECT_THROW(dequantized({1, 2}, {1.0f, 1.0f}, 64, 4), std::invalid_argument);
  EXPECT_THROW(dequantized({1, 2}, {1.0f}, 2, 4), std::invalid_argument);
  EXPECT_THROW(dequantized({1, 2}, {1.0f, 1.0f}, 3, 4), std::invalid_argument);
  EXPECT_THROW(dequantized({1, 2}, {1.0f}, 0, 4), std::invalid_argument);
  EXPECT_EQ(dequantized({}, {}, 64, 0), Floats{});
}

}  // namespace
}  // namespace qlora
