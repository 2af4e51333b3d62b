#include "core/dtype.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

namespace qlora {
namespace {

TEST(Half, EveryValueComesBack) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const Half h{static_cast<std::uint16_t>(bits)};
    const float x = to_float(h);
    if (std::isnan(x)) {
      EXPECT_TRUE(std::isnan(to_float(to_half(x))));
    } else {
      EXPECT_EQ(to_half(x).bits, h.bits) << x;
    }
  }
}

TEST(Half, RoundsTiesToEvenBetweenAllNeighbors) {
  for (std::uint16_t bits = 0; bits < 0x7bff; ++bits) {
    const float low = to_float(Half{bits});
    const float high = to_float(Half{static_cast<std::uint16_t>(bits + 1)});
    const float middle = low + (high - low) / 2;  // exact: float32 has 13 more bits
    EXPECT_EQ(to_half(middle).bits, bits % 2 == 0 ? bits : bits + 1);
    EXPECT_EQ(to_half(std::nextafter(middle, low)).bits, bits);
    EXPECT_EQ(to_half(-std::nextafter(middle, high)).bits, 0x8000 | (bits + 1));
  }
}

TEST(Half, KnownValues) {
  EXPECT_EQ(to_half(1.0f).bits, 0x3c00);
  EXPECT_EQ(to_half(-2.0f).bits, 0xc000);
  EXPECT_EQ(to_half(65504.0f).bits, 0x7bff);
  EXPECT_EQ(to_half(65519.996f).bits, 0x7bff);
  EXPECT_EQ(to_half(65520.0f).bits, 0x7c00);  // the tie between 65504 and 2^16 goes to infinity
  EXPECT_EQ(to_half(0x1p-25f).bits, 0x0000);  // the tie between 0 and the smallest goes to 0
  EXPECT_EQ(to_half(0x1.8p-25f).bits, 0x0001);
  EXPECT_EQ(to_half(-0.0f).bits, 0x8000);
}

TEST(BFloat16, RoundsTiesToEven) {
  EXPECT_EQ(to_bfloat16(1.0f).bits, 0x3f80);
  EXPECT_EQ(to_bfloat16(std::bit_cast<float>(0x3f808000u)).bits, 0x3f80);
  EXPECT_EQ(to_bfloat16(std::bit_cast<float>(0x3f818000u)).bits, 0x3f82);
  EXPECT_EQ(to_bfloat16(std::bit_cast<float>(0x3f808001u)).bits, 0x3f81);
  EXPECT_EQ(to_bfloat16(std::numeric_limits<float>::max()).bits, 0x7f80);
  EXPECT_TRUE(std::isnan(to_float(to_bfloat16(std::bit_cast<float>(0x7f800001u)))));
}

TEST(DType, NamesGoBothWays) {
  for (DType d : {DType::f64, DType::f32, DType::f16, DType::bf16, DType::i64, DType::i32,
                  DType::i8, DType::u8, DType::boolean}) {
    EXPECT_EQ(dtype_from_safetensors(safetensors_name(d)), d);
    EXPECT_EQ(dtype_from_python(python_name(d)), d);
  }
  EXPECT_FALSE(dtype_from_safetensors("F8_E4M3"));
}

}  // namespace
}  // namespace qlora
