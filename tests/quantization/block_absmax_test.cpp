#include "quantization/block_absmax.h"

#include "fixtures.h"
#include "quantization/flush.h"

namespace qlora {
namespace {

using testing::bits_of;
using testing::Floats;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

TEST(BlockAbsmax, IsTheLargestMagnitude) {
  EXPECT_EQ(block_absmax(Floats{0.5f, -2.0f, 1.5f}), 2.0f);
  EXPECT_EQ(block_absmax(Floats{-0.25f}), 0.25f);
  EXPECT_EQ(bits_of(block_absmax(Floats{-0.0f, 0.0f})), 0u);
  EXPECT_EQ(block_absmax({}), 0.0f);
  for (const std::size_t n : {1u, 31u, 64u, 65u, 1000u}) {
    Floats x = testing::normal_values(n);
    x[n / 2] = -99.0f;
    EXPECT_EQ(block_absmax(x), 99.0f) << n;
  }
}

TEST(BlockAbsmax, IgnoresNaNButNotInfinity) {
  EXPECT_EQ(block_absmax(Floats{1.0f, kNaN, -3.0f, -kNaN}), 3.0f);
  EXPECT_EQ(block_absmax(Floats{kNaN, kNaN}), 0.0f);
  EXPECT_EQ(block_absmax(Floats{1.0f, -kInfinity}), kInfinity);
}

TEST(BlockAbsmax, SubnormalsCountAsZero) {
  EXPECT_EQ(bits_of(block_absmax(Floats{1e-40f, -1e-39f})), 0u);
  EXPECT_EQ(block_absmax(Floats{1e-40f, -0x1p-126f}), 0x1p-126f);
}

TEST(BlockReciprocal, IsFlushedWhereItIsSubnormal) {
  EXPECT_EQ(block_reciprocal(4.0f), 0.25f);
  EXPECT_EQ(block_reciprocal(0.0f), kInfinity);
  EXPECT_EQ(block_reciprocal(kInfinity), 0.0f);
  EXPECT_EQ(block_reciprocal(0x1p126f), 0x1p-126f);
  EXPECT_EQ(block_reciprocal(testing::next_up(0x1p126f)), 0.0f);
}

TEST(Flush, KeepsSignsAndNormalNumbers) {
  for (const float x : {0.0f, -0.0f, 1.0f, -0x1p-126f, kInfinity, -kInfinity}) {
    EXPECT_EQ(bits_of(flush(x)), bits_of(x));
  }
  EXPECT_EQ(bits_of(flush(testing::next_down(0x1p-126f))), 0u);
  EXPECT_EQ(bits_of(flush(-1e-40f)), 0x80000000u);
  EXPECT_TRUE(std::isnan(flush(kNaN)));
}

TEST(Flush, ProductsAreFlushedBeforeTheyAreRounded) {
  EXPECT_EQ(flushed_product(0x1p-100f, 0x1p-26f), 0x1p-126f);
  EXPECT_EQ(bits_of(flushed_product(-0x1p-100f, 0x1p-27f)), 0x80000000u);
  EXPECT_EQ(flushed_product(1e-40f, 0x1p100f), 0.0f);  // a subnormal operand
  // (1 - 2^-24) * 2^-126 would round up to 2^-126 on the grid of subnormals
  EXPECT_EQ(flushed_product(testing::next_down(1.0f), 0x1p-126f), 0.0f);
  EXPECT_EQ(flushed_product(3.0f, -0.1f), 3.0f * -0.1f);
  EXPECT_EQ(flushed_product(1e30f, 1e30f), kInfinity);
  EXPECT_TRUE(std::isnan(flushed_product(kInfinity, 0.0f)));
}

}  // namespace
}  // namespace qlora
