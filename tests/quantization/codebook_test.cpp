#include "quantization/codebook.h"

#include <algorithm>
#include <numeric>

#include "fixtures.h"
#include "quantization/flush.h"
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

// A coding that no format has: how many of -7/8, -6/8, … 7/8 the scaled value is above.
int steps_above(float x, float reciprocal) {
  const float scaled = flush(x) * reciprocal;
  int above = 0;
  for (int k = -7; k <= 7; ++k) above += scaled > static_cast<float>(k) / 8.0f ? 1 : 0;
  return above;
}

void encode_steps(std::span<const float, kCodedAtOnce> x, float reciprocal,
                  std::span<int, kCodedAtOnce> codes) {
  for (std::size_t i = 0; i < kCodedAtOnce; ++i) {
    codes[i] = steps_above(x[i], reciprocal);
  }
}

struct Quantized {
  Bytes packed;
  Floats absmax;
};

Quantized quantized(const Floats& x, std::int64_t blocksize) {
  Quantized q{Bytes((x.size() + 1) / 2, 0xaa),
              Floats(testing::blocks_of(x.size(), blocksize), NAN)};
  quantize_codebook(encode_steps, x, blocksize, q.packed, q.absmax);
  return q;
}

// The same one element after the other, with nothing but the definition.
Quantized slowly_quantized(const Floats& x, std::int64_t blocksize) {
  const auto size = static_cast<std::size_t>(blocksize);
  Quantized q{Bytes((x.size() + 1) / 2), Floats(testing::blocks_of(x.size(), blocksize))};
  for (std::size_t i = 0; i < x.size(); ++i) {
    q.absmax[i / size] = std::max(q.absmax[i / size], std::abs(x[i]));
  }
  for (std::size_t i = 0; i < 2 * q.packed.size(); ++i) {
    const float reciprocal = 1.0f / q.absmax[std::min(i, x.size() - 1) / size];
    const int code = steps_above(i < x.size() ? x[i] : 0.0f, reciprocal);
    q.packed[i / 2] = static_cast<std::uint8_t>(q.packed[i / 2] | (i % 2 == 0 ? code << 4 : code));
  }
  return q;
}

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
    const std::size_t blocks = testing::blocks_of(n, 64);
    Bytes packed(n / 2 + 1);
    for (std::size_t j = 0; j < packed.size(); ++j) {
      packed[j] = static_cast<std::uint8_t>(37 * j + 11);
    }
    packed.resize((n + 1) / 2);
    Floats absmax(blocks);
    for (std::size_t b = 0; b < blocks; ++b) absmax[b] = static_cast<float>(b) + 0.5f;
    const Floats out = dequantized(packed, absmax, 64, n);
    const std::vector<int> codes = testing::unpacked(packed, n);
    for (std::size_t i = 0; i < n; ++i) {
      EXPECT_EQ(out[i], static_cast<float>(codes[i] + 1) * absmax[i / 64]) << n << " " << i;
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

TEST(QuantizeCodebook, FirstElementIsTheHighNibble) {
  const Quantized q = quantized({1.0f, -1.0f, 0.5f, 0.0f}, 64);
  EXPECT_EQ(q.packed, (Bytes{0xf0, 0xb7}));  // above 15, 0, 11 and 7 steps
  EXPECT_EQ(q.absmax, Floats{1.0f});
}

TEST(QuantizeCodebook, EachBlockHasItsOwnScale) {
  Floats x(192, 0.25f);
  x[5] = -4.0f;
  x[70] = 2.0f;
  x[191] = -0.5f;
  const Quantized q = quantized(x, 64);
  EXPECT_EQ(q.absmax, (Floats{4.0f, 2.0f, 0.5f}));
  const std::vector<int> codes = testing::unpacked(q.packed, x.size());
  EXPECT_EQ(codes[0], 8);     // 1/16
  EXPECT_EQ(codes[64], 8);    // 1/8, which is not above 1/8
  EXPECT_EQ(codes[128], 11);  // 1/2, likewise
  EXPECT_EQ(codes[191], 0);
}

TEST(QuantizeCodebook, EveryLengthAndBlockSize) {
  for (const std::int64_t blocksize : {2, 34, 62, 64, 66, 128, 130, 4096}) {
    for (std::size_t n = 1; n <= 260; ++n) {
      const Floats x = testing::normal_values(n, n);
      const Quantized actual = quantized(x, blocksize);
      const Quantized expected = slowly_quantized(x, blocksize);
      ASSERT_EQ(actual.absmax, expected.absmax) << n << " in blocks of " << blocksize;
      ASSERT_EQ(actual.packed, expected.packed) << n << " in blocks of " << blocksize;
    }
  }
}

TEST(QuantizeCodebook, ShapesOfData) {
  for (const auto& [name, x] : testing::shapes_of_data(1001)) {
    SCOPED_TRACE(name);
    EXPECT_EQ(quantized(x, 64).packed, slowly_quantized(x, 64).packed);
  }
}

TEST(QuantizeCodebook, TheMissingPartnerIsAZero) {
  EXPECT_EQ(quantized({-3.0f}, 64).packed, Bytes{0x07});  // 0 is above 7 of the 15 steps
  EXPECT_EQ(quantized({0.0f}, 64).packed, Bytes{0x00});   // 0 * inf is above none
  EXPECT_EQ(quantized({}, 64).packed, Bytes{});
}

TEST(QuantizeCodebook, ABlockOfZerosLeavesItsNeighborsAlone) {
  Floats x = testing::normal_values(192, 3);
  std::fill(x.begin() + 64, x.begin() + 128, 0.0f);
  const Quantized q = quantized(x, 64);
  EXPECT_EQ(bits_of(q.absmax[1]), 0u);
  EXPECT_EQ(Bytes(q.packed.begin() + 32, q.packed.begin() + 64), Bytes(32, 0x00));
  const Quantized last = quantized(Floats(x.begin() + 128, x.end()), 64);
  EXPECT_EQ(q.absmax[2], last.absmax[0]);
  EXPECT_EQ(Bytes(q.packed.begin() + 64, q.packed.end()), last.packed);
}

TEST(QuantizeCodebook, RefusesSizesThatDoNotFit) {
  const Floats x(100, 1.0f);
  Bytes packed(50);
  Floats absmax(2);
  quantize_codebook(encode_steps, x, 64, packed, absmax);
  const auto refused = [&](std::int64_t blocksize, std::size_t bytes, std::size_t maxima) {
    EXPECT_THROW(quantize_codebook(encode_steps, x, blocksize, std::span(packed).first(bytes),
                                   std::span(absmax).first(maxima)),
                 std::invalid_argument);
  };
  refused(64, 49, 2);
  refused(64, 50, 1);
  refused(128, 50, 2);
  refused(63, 50, 2);
  refused(0, 50, 2);
  refused(-64, 50, 2);
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
