// Four-bit maxima against an exhaustive search, in double.
#include "maxima4.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "core/random.h"
#include "slow_maxima4.h"

namespace qlora {
namespace {

using Floats = std::vector<float>;
using Bytes = std::vector<std::uint8_t>;

// Like block maxima: positive, around 2.4 standard deviations, no two equal.
Floats maxima(std::size_t n, std::uint64_t seed) {
  Floats x(n);
  for (std::size_t b = 0; b < n; ++b) x[b] = 0.05f + 0.01f * std::abs(Random{seed, 1}.normal(b));
  return x;
}

std::size_t groups_of(std::size_t n, std::int64_t group) {
  return (n + static_cast<std::size_t>(group) - 1) / static_cast<std::size_t>(group);
}

struct Quantized {
  Bytes packed;
  Floats low, step;
};

Quantized quantized(const Floats& absmax, std::int64_t group) {
  const std::size_t groups = groups_of(absmax.size(), group);
  Quantized q{Bytes((absmax.size() + 1) / 2, 0xaa), Floats(groups, NAN), Floats(groups, NAN)};
  quantize_maxima4(absmax, group, q.packed, q.low, q.step);
  return q;
}

Floats restored(const Quantized& q, std::int64_t group, std::size_t n) {
  Floats out(n, NAN);
  restore_maxima4(q.packed, q.low, q.step, group, out);
  return out;
}

// The low half of a byte first.
int code_at(const Bytes& packed, std::size_t b) {
  return b % 2 == 0 ? packed[b / 2] % 16 : packed[b / 2] / 16;
}

TEST(Maxima4, TheFirstCodeIsTheLowHalf) {
  const Quantized q = quantized({1.0f, 4.0f, 2.0f, 1.2f}, 4);
  EXPECT_EQ(q.low, Floats{1.0f});
  EXPECT_FLOAT_EQ(q.step[0], 0.2f);
  EXPECT_EQ(q.packed, (Bytes{0xf0, 0x15}));  // codes 0, 15, 5, 1
}

TEST(Maxima4, LowAndStepOfEachGroup) {
  for (const std::int64_t group : {1, 5, 16, 100}) {
    const Floats x = maxima(67, 1);
    const Quantized q = quantized(x, group);
    for (std::size_t g = 0; g < q.low.size(); ++g) {
      const auto own = slow_maxima4::group_of(x, g, static_cast<std::size_t>(group));
      const double low = *std::min_element(own.begin(), own.end());
      const double high = *std::max_element(own.begin(), own.end());
      EXPECT_EQ(double{q.low[g]}, low) << g;
      // a difference and a division, rounded to 2^-24 each
      EXPECT_NEAR(q.step[g], (high - low) / 15.0, (high - low) / 15.0 * 1.3e-7) << g;
    }
  }
}

TEST(Maxima4, CodesAreTheNearest) {
  for (const std::int64_t group : {1, 5, 16, 100}) {
    for (const std::size_t n : {1u, 2u, 15u, 16u, 17u, 67u}) {
      const Floats x = maxima(n, n + 10);
      const Quantized q = quantized(x, group);
      for (std::size_t b = 0; b < n; ++b) {
        const std::size_t g = b / static_cast<std::size_t>(group);
        // none of these lies within an ulp of the middle between two codes
        EXPECT_EQ(code_at(q.packed, b),
                  slow_maxima4::nearest_code(double{x[b]}, double{q.low[g]}, double{q.step[g]}))
            << n << " in groups of " << group << ", maximum " << b;
      }
    }
  }
}

TEST(Maxima4, ErrorIsAtMostHalfAStep) {
  const Floats x = maxima(200, 3);
  const Quantized q = quantized(x, 16);
  const Floats back = restored(q, 16, x.size());
  for (std::size_t b = 0; b < x.size(); ++b) {
    // scaling and restoring round numbers below 0.1 thrice: 3 · 2^-24 · 0.1
    EXPECT_LE(std::abs(back[b] - x[b]), q.step[b / 16] / 2.0f + 2e-8f) << b;
  }
}

TEST(Maxima4, TheEndsOfAGroupComeBack) {
  const Floats x = maxima(64, 4);
  const Quantized q = quantized(x, 16);
  const Floats back = restored(q, 16, x.size());
  for (std::size_t g = 0; g < 4; ++g) {
    const auto begin = x.begin() + static_cast<std::ptrdiff_t>(16 * g);
    const auto [low, high] = std::minmax_element(begin, begin + 16);
    EXPECT_EQ(back[static_cast<std::size_t>(low - x.begin())], *low);
    // 15 steps and a sum: two ulps of a number below 0.1
    EXPECT_NEAR(back[static_cast<std::size_t>(high - x.begin())], *high, 2e-8);
  }
}

TEST(Maxima4, EqualMaximaHaveNoStep) {
  const Quantized q = quantized(Floats(20, 0.37f), 16);
  EXPECT_EQ(q.low, (Floats{0.37f, 0.37f}));
  EXPECT_EQ(q.step, (Floats{0.0f, 0.0f}));
  EXPECT_EQ(q.packed, Bytes(10, 0x00));
  EXPECT_EQ(restored(q, 16, 20), Floats(20, 0.37f));
}

TEST(Maxima4, AHalfThatNoCodeNeedsIsZero) {
  EXPECT_EQ(quantized({0.5f}, 16).packed, Bytes{0x00});
  EXPECT_EQ(quantized({0.0f, 1.0f, 2.0f}, 16).packed[1], 0x0f);
}

TEST(Maxima4, GroupsThatEndInsideAByte) {
  // Groups of five: the second begins in the high half of byte 2.
  const Floats x = maxima(23, 5);
  const Quantized whole = quantized(x, 5);
  for (std::size_t begin = 0; begin < x.size(); begin += 5) {
    const std::size_t end = std::min<std::size_t>(begin + 5, x.size());
    const Floats own(x.begin() + static_cast<std::ptrdiff_t>(begin),
                     x.begin() + static_cast<std::ptrdiff_t>(end));
    const Quantized alone = quantized(own, 5);
    for (std::size_t b = begin; b < end; ++b) {
      EXPECT_EQ(code_at(whole.packed, b), code_at(alone.packed, b - begin)) << b;
    }
  }
}

TEST(Maxima4, RestoredIsLowPlusSteps) {
  for (const std::int64_t group : {1, 5, 16}) {
    for (const std::size_t n : {1u, 16u, 33u}) {
      Quantized q{Bytes((n + 1) / 2), Floats(groups_of(n, group)), Floats(groups_of(n, group))};
      for (std::size_t j = 0; j < q.packed.size(); ++j) {
        q.packed[j] = static_cast<std::uint8_t>(61 * j + 29);
      }
      for (std::size_t g = 0; g < q.low.size(); ++g) {
        q.low[g] = static_cast<float>(g) + 0.5f;
        q.step[g] = static_cast<float>(g + 1) / 8.0f;
      }
      const Floats out = restored(q, group, n);
      for (std::size_t b = 0; b < n; ++b) {
        const std::size_t g = b / static_cast<std::size_t>(group);
        const auto code = static_cast<float>(code_at(q.packed, b));
        EXPECT_EQ(out[b], q.low[g] + code * q.step[g]) << b;  // all of it exact
      }
    }
  }
}

TEST(Maxima4, BitsOfAWeight) {
  EXPECT_EQ(bits_per_weight4(32, 16), 4.25);  // 4 + 4/32 + 64/512
  EXPECT_EQ(bits_per_weight4(64, 16), 4.125);
  EXPECT_EQ(bits_per_weight4(32, 256), 4.0 + 0.125 + 0.0078125);
  EXPECT_EQ(bits_per_weight4(32, 1), 4.0 + 0.125 + 2.0);
}

}  // namespace
}  // namespace qlora
