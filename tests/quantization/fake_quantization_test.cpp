#include "quantization/fake_quantization.h"

#include "fixtures.h"
#include "quantization/absmax_int8.h"
#include "quantization/affine.h"

namespace qlora {
namespace {

using testing::Floats;

Floats faked(const Floats& x, int bits, std::int64_t blocksize) {
  Floats out(x.size(), NAN);
  fake_quantize_absmax(x, bits, blocksize, out);
  return out;
}

TEST(FakeQuantize, EightBitsOfAWholeTensorAreSymmetricInt8) {
  for (const auto& [name, x] : testing::shapes_of_data(301)) {
    SCOPED_TRACE(name);
    const float scale = symmetric_scale(x);
    std::vector<std::int8_t> q(x.size());
    Floats restored(x.size());
    quantize_symmetric(x, scale, q);
    dequantize_affine<std::int8_t>(q, {scale, 0}, restored);
    EXPECT_EQ(faked(x, 8, 301), restored);
  }
}

TEST(FakeQuantize, FourBitsHaveFifteenLevels) {
  Floats x(1000);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i) / 999.0f * 14.0f - 7.0f;
  std::vector<float> levels = faked(x, 4, 1000);
  for (std::size_t i = 0; i < x.size(); ++i) EXPECT_LE(std::abs(levels[i] - x[i]), 0.5f);
  std::sort(levels.begin(), levels.end());
  levels.erase(std::unique(levels.begin(), levels.end()), levels.end());
  EXPECT_EQ(levels.size(), 15u);
  EXPECT_EQ(levels.front(), -7.0f);
}

TEST(FakeQuantize, EveryBlockHasItsOwnScaleAndTheLastMayBeShort) {
  const Floats x = testing::normal_values(100, 3);
  const Floats whole = faked(x, 3, 33);
  for (std::size_t b = 0; b < 4; ++b) {
    const auto begin = x.begin() + static_cast<std::ptrdiff_t>(b * 33);
    const Floats block(begin, b < 3 ? begin + 33 : x.end());
    const Floats alone = faked(block, 3, 33);
    EXPECT_TRUE(std::equal(alone.begin(), alone.end(),
                           whole.begin() + static_cast<std::ptrdiff_t>(b * 33)));
  }
}

TEST(FakeQuantize, ZerosNaNAndTies) {
  EXPECT_EQ(faked({0.0f, -0.0f, NAN, 7.0f, 0.5f, 1.5f, -2.5f}, 4, 7),
            (Floats{0.0f, 0.0f, 0.0f, 7.0f, 0.0f, 2.0f, -2.0f}));
  EXPECT_EQ(faked({0.0f, 0.0f}, 8, 2), (Floats{0.0f, 0.0f}));
  EXPECT_EQ(faked({}, 8, 2), Floats{});
}

TEST(FakeQuantize, MayWriteOverItsInput) {
  Floats x = testing::normal_values(70);
  const Floats expected = faked(x, 5, 64);
  fake_quantize_absmax(x, 5, 64, x);
  EXPECT_EQ(x, expected);
}

TEST(FakeQuantize, RefusesWhatDoesNotFit) {
  Floats x(4);
  Floats three(3);
  EXPECT_THROW(fake_quantize_absmax(x, 1, 4, x), std::invalid_argument);
  EXPECT_THROW(fake_quantize_absmax(x, 17, 4, x), std::invalid_argument);
  EXPECT_THROW(fake_quantize_absmax(x, 8, 0, x), std::invalid_argument);
  EXPECT_THROW(fake_quantize_absmax(x, 8, 4, three), std::invalid_argument);
}

}  // namespace
}  // namespace qlora
