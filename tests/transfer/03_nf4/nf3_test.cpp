// NF3 against quantiles by bisection, an exhaustive search, and bits as text.
#include "nf3.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "core/random.h"
#include "slow_nf3.h"

namespace qlora {
namespace {

using Floats = std::vector<float>;
using Bytes = std::vector<std::uint8_t>;
using slow_nf3::quantile;

// Values that no quantile formula gives, each exact in binary.
constexpr std::array<float, 8> kMap{-1.0f, -0.5f, -0.25f, 0.0f, 0.125f, 0.375f, 0.625f, 1.0f};

Floats normal_values(std::size_t n, std::uint64_t seed) {
  Floats x(n);
  for (std::size_t i = 0; i < n; ++i) x[i] = 0.3f * Random{seed, 1}.normal(i);
  return x;
}

std::size_t blocks_of(std::size_t n, std::int64_t blocksize) {
  return (n + static_cast<std::size_t>(blocksize) - 1) / static_cast<std::size_t>(blocksize);
}

struct Quantized {
  Bytes packed;
  Floats absmax;
};

Quantized quantized(const Floats& x, std::int64_t blocksize) {
  Quantized q{Bytes(nf3_bytes(x.size()), 0xaa), Floats(blocks_of(x.size(), blocksize), NAN)};
  quantize_nf3(x, kMap, blocksize, q.packed, q.absmax);
  return q;
}

Floats restored(const Quantized& q, std::int64_t blocksize, std::size_t n) {
  Floats out(n, NAN);
  dequantize_nf3(q.packed, kMap, q.absmax, blocksize, out);
  return out;
}

std::vector<int> codes_of(const Bytes& packed, std::size_t n) {
  std::string text;
  for (const std::uint8_t byte : packed) text += slow_nf3::bits_of_byte(byte);
  std::vector<int> codes;
  codes.reserve(n);
  for (std::size_t i = 0; i < n; ++i) {
    codes.push_back(std::stoi(text.substr(3 * i, 3), nullptr, 2));
  }
  return codes;
}

TEST(Nf3, ThreeNegativeValuesZeroAndFourPositive) {
  for (const double offset : {0.7, 0.9, 0.9677083, 0.995}) {
    const std::array<float, 8> map = create_nf3_map(offset);
    EXPECT_EQ(map[0], -1.0f);
    EXPECT_EQ(map[3], 0.0f);
    EXPECT_EQ(map[7], 1.0f);
    for (std::size_t k = 0; k < 7; ++k) EXPECT_LT(map[k], map[k + 1]) << k;
  }
}

TEST(Nf3, ValuesAreQuantilesAtEqualStepsOfProbability) {
  for (const double offset : {0.7, 0.9, 0.9677083, 0.995}) {
    const std::array<float, 8> map = create_nf3_map(offset);
    for (int k = 1; k <= 4; ++k) {
      const double p = 0.5 + (offset - 0.5) * k / 4.0;
      EXPECT_NEAR(map[static_cast<std::size_t>(3 + k)], quantile(p) / quantile(offset), 2e-7);
    }
    for (int k = 1; k <= 3; ++k) {
      const double p = 0.5 + (offset - 0.5) * k / 3.0;
      EXPECT_NEAR(map[static_cast<std::size_t>(3 - k)], -quantile(p) / quantile(offset), 2e-7);
    }
  }
}

TEST(Nf3, EightCodesTakeThreeBytes) {
  EXPECT_EQ(nf3_bytes(8), 3u);
  EXPECT_EQ(nf3_bytes(0), 0u);
  EXPECT_EQ(nf3_bytes(1), 1u);
  EXPECT_EQ(nf3_bytes(3), 2u);  // 9 bits
  EXPECT_EQ(nf3_bytes(16), 6u);
  EXPECT_EQ(nf3_bytes(17), 7u);
  EXPECT_EQ(nf3_bytes(1000000), 375000u);
}

TEST(Nf3, HighestBitFirst) {
  const Quantized q = quantized({kMap.begin(), kMap.end()}, 8);
  // 000 001 010 011 100 101 110 111
  EXPECT_EQ(q.packed, (Bytes{0b00000101, 0b00111001, 0b01110111}));
  EXPECT_EQ(q.absmax, Floats{1.0f});
}

TEST(Nf3, BitsBehindTheLastCodeAreZero) {
  EXPECT_EQ(quantized({1.0f}, 64).packed, Bytes{0b11100000});
  EXPECT_EQ(quantized({1.0f, -1.0f, 1.0f}, 64).packed, (Bytes{0b11100011, 0b10000000}));
}

TEST(Nf3, EveryLevelComesBack) {
  Floats x(kMap.begin(), kMap.end());
  for (float& value : x) value *= 4.0f;
  EXPECT_EQ(restored(quantized(x, 64), 64, x.size()), x);
}

TEST(Nf3, CodesAreThoseOfTheNearestValue) {
  const std::vector<double> values(kMap.begin(), kMap.end());
  for (const std::int64_t blocksize : {1, 5, 8, 64, 1000}) {
    for (const std::size_t n : {1u, 2u, 7u, 8u, 9u, 63u, 64u, 65u, 200u}) {
      const Floats x = normal_values(n, n);
      const Quantized q = quantized(x, blocksize);
      const std::vector<int> codes = codes_of(q.packed, n);
      for (std::size_t i = 0; i < n; ++i) {
        const double absmax = q.absmax[i / static_cast<std::size_t>(blocksize)];
        // none of these lies within an ulp of the middle between two values
        EXPECT_EQ(codes[i], slow_nf3::nearest(double{x[i]} / absmax, values))
            << n << " in blocks of " << blocksize << ", element " << i;
      }
    }
  }
}

TEST(Nf3, EachBlockHasItsLargestMagnitude) {
  for (const std::int64_t blocksize : {1, 5, 64}) {
    const Floats x = normal_values(132, 9);
    const Quantized q = quantized(x, blocksize);
    Floats expected(blocks_of(x.size(), blocksize));
    for (std::size_t i = 0; i < x.size(); ++i) {
      float& largest = expected[i / static_cast<std::size_t>(blocksize)];
      largest = std::max(largest, std::abs(x[i]));
    }
    EXPECT_EQ(q.absmax, expected);
  }
}

TEST(Nf3, BlocksThatEndInsideAByte) {
  // 5 codes are 15 bits: every block but the first begins inside a byte.
  const Floats x = normal_values(23, 4);
  const Quantized whole = quantized(x, 5);
  const std::vector<int> codes = codes_of(whole.packed, x.size());
  for (std::size_t begin = 0; begin < x.size(); begin += 5) {
    const std::size_t end = std::min<std::size_t>(begin + 5, x.size());
    const auto at = [&](std::size_t i) { return x.begin() + static_cast<std::ptrdiff_t>(i); };
    const Quantized alone = quantized(Floats(at(begin), at(end)), 5);
    EXPECT_EQ(alone.absmax[0], whole.absmax[begin / 5]);
    const std::vector<int> expected = codes_of(alone.packed, end - begin);
    for (std::size_t i = begin; i < end; ++i) EXPECT_EQ(codes[i], expected[i - begin]) << i;
  }
}

TEST(Nf3, BlocksOfZerosRestoreToZeros) {
  Floats x = normal_values(24, 5);
  for (std::size_t i = 8; i < 16; ++i) x[i] = 0.0f;
  const Quantized q = quantized(x, 8);
  EXPECT_EQ(q.absmax[1], 0.0f);
  const Floats back = restored(q, 8, x.size());
  for (std::size_t i = 8; i < 16; ++i) EXPECT_EQ(back[i], 0.0f);
  EXPECT_EQ(codes_of(q.packed, 24)[8], 3);  // the code of zero
}

TEST(Nf3, RestoredIsValueTimesScale) {
  for (const std::int64_t blocksize : {1, 5, 64}) {
    for (const std::size_t n : {1u, 8u, 77u}) {
      Quantized q{Bytes(nf3_bytes(n)), Floats(blocks_of(n, blocksize))};
      for (std::size_t j = 0; j < q.packed.size(); ++j) {
        q.packed[j] = static_cast<std::uint8_t>(61 * j + 29);
      }
      for (std::size_t b = 0; b < q.absmax.size(); ++b) q.absmax[b] = static_cast<float>(b) + 0.5f;
      const std::vector<int> codes = codes_of(q.packed, n);
      const Floats out = restored(q, blocksize, n);
      for (std::size_t i = 0; i < n; ++i) {
        const std::size_t block = i / static_cast<std::size_t>(blocksize);
        EXPECT_EQ(out[i], kMap[static_cast<std::size_t>(codes[i])] * q.absmax[block]) << i;
      }
    }
  }
}

TEST(Nf3, ErrorIsAtMostHalfTheWidestGap) {
  const std::array<float, 8> map = create_nf3_map(0.9677083);
  const Floats x = normal_values(1000, 6);
  Bytes packed(nf3_bytes(x.size()));
  Floats absmax(blocks_of(x.size(), 64));
  Floats out(x.size(), NAN);
  quantize_nf3(x, map, 64, packed, absmax);
  dequantize_nf3(packed, map, absmax, 64, out);
  double gap = 0.0;
  for (std::size_t k = 0; k < 7; ++k) gap = std::max(gap, double{map[k + 1]} - double{map[k]});
  for (std::size_t i = 0; i < x.size(); ++i) {
    // scaling and restoring round thrice, 2^-24 each
    EXPECT_LE(std::abs(x[i] - out[i]), absmax[i / 64] * (gap / 2.0 + 2e-7)) << i;
  }
}

}  // namespace
}  // namespace qlora
