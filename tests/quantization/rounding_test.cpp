#include "quantization/rounding.h"

#include "fixtures.h"

namespace qlora {
namespace {

using testing::bits_of;
using testing::Floats;

// Patterns of every exponent with mantissas near all places where 16-bit formats round.
Floats patterns() {
  Floats x;
  for (std::uint32_t exponent = 0; exponent < 256; ++exponent) {
    for (const std::uint32_t mantissa :
         {0u,        1u,        0xfffu,    0x1000u,   0x1001u,   0x1fffu,  0x2000u,
          0x3000u,   0x7fffu,   0x8000u,   0x8001u,   0x10000u,  0x18000u, 0x400000u,
          0x7fe000u, 0x7fefffu, 0x7ff000u, 0x7f7fffu, 0x7f8000u, 0x7fffffu}) {
      x.push_back(testing::from_bits(exponent << 23 | mantissa));
      x.push_back(testing::from_bits(0x80000000u | exponent << 23 | mantissa));
    }
  }
  const Random random{.seed = 3};
  for (std::uint64_t i = 0; i < 100000; ++i) x.push_back(testing::from_bits(random.bits(i)));
  return x;
}

void expect_rounded(DType dtype, float (*once)(float)) {
  const Floats x = patterns();
  Floats rounded = x;
  round_to(dtype, rounded);
  int failures = 0;
  for (std::size_t i = 0; i < x.size() && failures < 10; ++i) {
    const float expected = once(x[i]);
    const bool same =
        std::isnan(expected) ? std::isnan(rounded[i]) : bits_of(rounded[i]) == bits_of(expected);
    EXPECT_TRUE(same) << std::hex << bits_of(x[i]) << " gave " << bits_of(rounded[i])
                      << ", expected " << bits_of(expected);
    failures += same ? 0 : 1;
  }
}

TEST(RoundTo, EqualsTheConversionsOfOneValue) {
  expect_rounded(DType::bf16, [](float x) { return to_float(to_bfloat16(x)); });
  expect_rounded(DType::f16, [](float x) { return to_float(to_half(x)); });
}

TEST(RoundTo, Float32StaysAndOthersAreRefused) {
  Floats x = patterns();
  const Floats before = x;
  round_to(DType::f32, x);
  for (std::size_t i = 0; i < x.size(); ++i) EXPECT_EQ(bits_of(x[i]), bits_of(before[i]));
  EXPECT_THROW(round_to(DType::f64, x), std::invalid_argument);
}

}  // namespace
}  // namespace qlora
