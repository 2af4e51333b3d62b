#include "quantization/quoted_quantiles.h"

#include "fixtures.h"
#include "quantization/nf4.h"
#include "support/matcher.h"

namespace qlora {
namespace {

int values_that_miss(DerivationIn arithmetic) {
  const auto code = normal_map_in(arithmetic);
  int misses = 0;
  for (std::size_t k = 0; k < 16; ++k) {
    misses += static_cast<float>(code[k]) != kNf4Code[k] ? 1 : 0;
    // probability, quantile and division: three roundings to 2^-24
    EXPECT_NEAR(code[k], kNf4Code[k], 2e-7) << k;
  }
  return misses;
}

TEST(QuotedQuantiles, Float64MissesTheBits) {
  EXPECT_EQ(values_that_miss(DerivationIn::float64), 10);
  EXPECT_EQ(values_that_miss(DerivationIn::float64_then_float32_division), 8);
}

TEST(QuotedQuantiles, IntervalMiddlesAreSymmetricAndHaveNoZero) {
  const auto code = interval_middles();
  EXPECT_EQ(code[15], 1.0);
  // Φ⁻¹(17/32) / Φ⁻¹(31/32) from printed tables
  EXPECT_TRUE(testing::is_close(code[8], 0.0784124127331122 / 1.86273186742165, 1e-14));
  double furthest = 0.0;
  for (std::size_t k = 0; k < 16; ++k) {
    EXPECT_EQ(code[k], -code[15 - k]);
    EXPECT_NE(code[k], 0.0);
    furthest = std::max(furthest, std::abs(code[k] - double{kNf4Code[k]}));
  }
  EXPECT_GT(furthest, 0.01);
}

TEST(QuotedQuantiles, Equation4HasInfiniteEnds) {
  const auto code = paper_equation_4();
  EXPECT_EQ(code[0], -INFINITY);
  EXPECT_EQ(code[16], INFINITY);
  EXPECT_EQ(code[8], 0.0);
  // (Φ⁻¹(1/17) + Φ⁻¹(2/17)) / 2, whose parts invert the distribution
  EXPECT_TRUE(testing::is_close(code[1], (-1.564726471361799 - 1.186831432755818) / 2, 1e-12));
}

}  // namespace
}  // namespace qlora
