#include "quantization/formats.h"

#include "fixtures.h"

namespace qlora {
namespace {

constexpr DType kAll[]{DType::f32, DType::f16, DType::bf16};

TEST(Formats, BitsAddUp) {
  EXPECT_EQ(float_format(DType::f32).bits(), 32);
  EXPECT_EQ(float_format(DType::f16).bits(), 16);
  EXPECT_EQ(float_format(DType::bf16).bits(), 16);
  EXPECT_EQ(float_format(DType::bf16).exponent_bits, float_format(DType::f32).exponent_bits);
  EXPECT_THROW(float_format(DType::f64), std::invalid_argument);
  EXPECT_THROW(float_format(DType::i8), std::invalid_argument);
}

TEST(Formats, LimitsOfEach) {
  const FloatFormat single = float_format(DType::f32);
  EXPECT_EQ(single.largest(), double{std::numeric_limits<float>::max()});
  EXPECT_EQ(single.smallest_normal(), double{std::numeric_limits<float>::min()});
  EXPECT_EQ(single.smallest_subnormal(), double{std::numeric_limits<float>::denorm_min()});
  EXPECT_EQ(single.epsilon(), double{std::numeric_limits<float>::epsilon()});
  const FloatFormat half = float_format(DType::f16);
  EXPECT_EQ(half.largest(), 65504.0);
  EXPECT_EQ(half.smallest_normal(), 0x1p-14);
  EXPECT_EQ(half.smallest_subnormal(), 0x1p-24);
  const FloatFormat brain = float_format(DType::bf16);
  EXPECT_EQ(brain.largest(), 0x1.fep127);
  EXPECT_EQ(brain.epsilon(), 1.0 / 128.0);
}

// Every pattern of the 16-bit formats, and for float32 random ones, against core/dtype.h.
TEST(Formats, ValueOfTheFieldsIsTheNumber) {
  for (const DType dtype : kAll) {
    const FloatFormat format = float_format(dtype);
    const Random random{5};
    for (std::uint32_t i = 0; i < 65536; ++i) {
      const std::uint32_t pattern = dtype == DType::f32 ? random.bits(i) : i;
      const auto bits = static_cast<std::uint16_t>(pattern);
      const float expected = dtype == DType::f32   ? testing::from_bits(pattern)
                             : dtype == DType::f16 ? to_float(Half{bits})
                                                   : to_float(BFloat16{bits});
      const double value = value_of(format, fields_of(format, pattern));
      if (std::isnan(expected)) {
        ASSERT_TRUE(std::isnan(value)) << pattern;
      } else {
        ASSERT_EQ(value, double{expected}) << pattern;
        ASSERT_EQ(pattern_of(format, expected), pattern);
      }
    }
  }
}

TEST(Formats, PatternsAsText) {
  const auto text = [](DType dtype, float x) {
    const FloatFormat format = float_format(dtype);
    return to_string(format, pattern_of(format, x));
  };
  EXPECT_EQ(text(DType::f32, 1.0f), "0 01111111 00000000000000000000000");
  EXPECT_EQ(text(DType::f16, -2.0f), "1 10000 0000000000");
  EXPECT_EQ(text(DType::bf16, 0.1f), "0 01111011 1001101");
  EXPECT_EQ(text(DType::f16, 65520.0f), "0 11111 0000000000");  // infinity
}

}  // namespace
}  // namespace qlora
