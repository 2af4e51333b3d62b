#include "quantization/affine.h"

#include "fixtures.h"

namespace qlora {
namespace {

using testing::Floats;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

template <typename Int>
std::vector<Int> quantized(const Floats& x, AffineParams params) {
  std::vector<Int> q(x.size());
  quantize_affine<Int>(x, params, q);
  return q;
}

template <typename Int>
Floats restored(const std::vector<Int>& q, AffineParams params) {
  Floats x(q.size());
  dequantize_affine<Int>(q, params, x);
  return x;
}

TEST(Affine, RangeIsTheSmallestAndTheLargestValue) {
  const Range range = min_max_range(Floats{0.5f, kNaN, -2.0f, 7.0f, 3.0f});
  EXPECT_EQ(range.min, -2.0f);
  EXPECT_EQ(range.max, 7.0f);
  EXPECT_EQ(min_max_range(Floats{4.0f, 5.0f}).min, 4.0f);  // calibration does not add the zero
  EXPECT_EQ(min_max_range({}).max, 0.0f);
  EXPECT_EQ(min_max_range(Floats{kNaN}).min, 0.0f);
}

TEST(Affine, WorkedExampleFromZeroToThousand) {
  const AffineParams params = affine_params<std::uint8_t>({0.0f, 1000.0f});
  EXPECT_FLOAT_EQ(params.scale, 3.9215686f);  // 1000 / 255
  EXPECT_EQ(params.zero_point, 0);
  // 500 is the tie 127.5, which goes to the even 128
  EXPECT_EQ(quantized<std::uint8_t>({0.0f, 250.0f, 500.0f, 750.0f, 1000.0f}, params),
            (std::vector<std::uint8_t>{0, 64, 128, 191, 255}));
}

TEST(Affine, AsymmetricRangeHasAZeroPoint) {
  const AffineParams params = affine_params<std::uint8_t>({-20.0f, 1000.0f});
  EXPECT_EQ(params.scale, 4.0f);
  EXPECT_EQ(params.zero_point, 5);
  EXPECT_EQ(quantized<std::uint8_t>({-20.0f, 0.0f, 1000.0f}, params),
            (std::vector<std::uint8_t>{0, 5, 255}));
  const AffineParams as_int8 = affine_params<std::int8_t>({-20.0f, 1000.0f});
  EXPECT_EQ(as_int8.zero_point, -123);
  EXPECT_EQ(quantized<std::int8_t>({-20.0f, 0.0f, 1000.0f}, as_int8),
            (std::vector<std::int8_t>{-128, -123, 127}));
}

TEST(Affine, ZeroPointIsRoundedTiesToEven) {
  EXPECT_EQ(affine_params<std::uint8_t>({-0.5f, 254.5f}).zero_point, 0);  // 0.5
  EXPECT_EQ(affine_params<std::uint8_t>({-1.5f, 253.5f}).zero_point, 2);  // 1.5
  EXPECT_EQ(affine_params<std::uint8_t>({-0.75f, 254.25f}).zero_point, 1);
}

TEST(Affine, RangeIsWidenedToHoldZero) {
  const AffineParams above = affine_params<std::uint8_t>({100.0f, 510.0f});
  EXPECT_EQ(above.scale, 2.0f);  // 510 / 255, not 410 / 255
  EXPECT_EQ(above.zero_point, 0);
  const AffineParams below = affine_params<std::uint8_t>({-510.0f, -100.0f});
  EXPECT_EQ(below.scale, 2.0f);
  EXPECT_EQ(below.zero_point, 255);
}

TEST(Affine, ZeroComesBackExactly) {
  for (const Range range : {Range{-0.3f, 1.7f}, Range{0.01f, 5.0f}, Range{-7.0f, -0.2f}}) {
    const AffineParams params = affine_params<std::int8_t>(range);
    EXPECT_EQ(restored(quantized<std::int8_t>({0.0f}, params), params)[0], 0.0f);
  }
}

TEST(Affine, ConstantTensors) {
  const AffineParams zeros = affine_params<std::uint8_t>({0.0f, 0.0f});
  EXPECT_EQ(zeros.scale, 1.0f);  // not 0, which would make 0/0
  EXPECT_EQ(quantized<std::uint8_t>({0.0f, 0.0f}, zeros), (std::vector<std::uint8_t>{0, 0}));
  for (const float c : {0.37f, -0.37f, 1e30f}) {
    const AffineParams params = affine_params<std::uint8_t>({c, c});
    const float back = restored(quantized<std::uint8_t>({c}, params), params)[0];
    EXPECT_NEAR(back / c, 1.0f, 1e-6) << c;  // 255 * fl(c / 255): two roundings
  }
}

TEST(Affine, ErrorIsAtMostHalfAStep) {
  for (const auto& [name, x] : testing::shapes_of_data(1001)) {
    SCOPED_TRACE(name);
    const AffineParams params = affine_params<std::uint8_t>(min_max_range(x));
    const Floats back = restored(quantized<std::uint8_t>(x, params), params);
    // x / scale is below 256, so its rounding and that of the product are below 256 * 2^-24 steps
    // each; the rounding of the zero point can move an end of the range past the last integer by
    // another half step.
    const Range range = min_max_range(x);
    for (std::size_t i = 0; i < x.size(); ++i) {
      const bool at_an_end = x[i] == range.min || x[i] == range.max;
      EXPECT_LE(std::abs(x[i] - back[i]), params.scale * (at_an_end ? 1.0001 : 0.5001)) << x[i];
    }
  }
}

TEST(Affine, TiesGoToEven) {
  EXPECT_EQ(quantized<std::int8_t>({0.5f, 1.5f, 2.5f, -0.5f, -1.5f, -2.5f, 0.49999997f}, {}),
            (std::vector<std::int8_t>{0, 2, 2, 0, -2, -2, 0}));
  // The zero point is added to what was rounded: an odd one does not turn the ties around.
  EXPECT_EQ(quantized<std::int8_t>({2.0f, 6.0f, -2.0f, -6.0f}, {4.0f, 5}),
            (std::vector<std::int8_t>{5, 7, 5, 3}));
}

TEST(Affine, ClampsWhatIsOutside) {
  const AffineParams params = affine_params<std::uint8_t>({-20.0f, 1000.0f});
  EXPECT_EQ(
      quantized<std::uint8_t>({-21.0f, -1e30f, -kInfinity, 1100.0f, 1e30f, kInfinity}, params),
      (std::vector<std::uint8_t>{0, 0, 0, 255, 255, 255}));
  EXPECT_EQ(quantized<std::uint8_t>({kNaN}, params), (std::vector<std::uint8_t>{5}));
}

TEST(Affine, RefusesWhatHasNoScale) {
  EXPECT_THROW(affine_params<std::uint8_t>({0.0f, kInfinity}), std::invalid_argument);
  EXPECT_THROW(affine_params<std::uint8_t>({kNaN, 1.0f}), std::invalid_argument);
  EXPECT_THROW(affine_params<std::uint8_t>({2.0f, 1.0f}), std::invalid_argument);
  EXPECT_THROW(symmetric_scale(Floats{1.0f, kInfinity}), std::invalid_argument);
  std::vector<std::int8_t> two(2);
  EXPECT_THROW(quantize_affine<std::int8_t>(Floats{1.0f}, {}, two), std::invalid_argument);
  EXPECT_THROW(quantize_symmetric(Floats{1.0f}, 1.0f, two), std::invalid_argument);
  Floats three(3);
  EXPECT_THROW(dequantize_affine<std::int8_t>(two, {}, three), std::invalid_argument);
}

TEST(Affine, RangesNearTheLimitsOfFloat32) {
  const float largest = std::numeric_limits<float>::max();
  const AffineParams wide = affine_params<std::int8_t>({-largest, largest});  // max - min overflows
  EXPECT_TRUE(std::isfinite(wide.scale));
  EXPECT_EQ(quantized<std::int8_t>({-largest, largest}, wide),
            (std::vector<std::int8_t>{-128, 127}));
  EXPECT_EQ(affine_params<std::uint8_t>({0.0f, 1e-44f}).scale, 1.0f);  // 1e-44 / 255 is nothing
}

TEST(Symmetric, ScaleIsAbsmaxOver127) {
  EXPECT_EQ(symmetric_scale(Floats{-254.0f, 100.0f}), 2.0f);
  EXPECT_EQ(symmetric_scale(Floats{0.0f, -0.0f}), 1.0f);
  EXPECT_EQ(symmetric_scale({}), 1.0f);
}

TEST(Symmetric, NeverMinus128AndMirrored) {
  const Floats x = testing::normal_values(999);
  const float scale = symmetric_scale(x);
  Floats mirrored(x);
  for (float& value : mirrored) value = -value;
  std::vector<std::int8_t> q(x.size());
  std::vector<std::int8_t> q_mirrored(x.size());
  quantize_symmetric(x, scale, q);
  quantize_symmetric(mirrored, scale, q_mirrored);
  int largest = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    EXPECT_EQ(q_mirrored[i], -q[i]);
    largest = std::max(largest, std::abs(static_cast<int>(q[i])));
  }
  EXPECT_EQ(largest, 127);  // the absmax itself
  std::vector<std::int8_t> outside(4);
  quantize_symmetric(Floats{-1000.0f, -128.0f, 1000.0f, kNaN}, 1.0f, outside);
  EXPECT_EQ(outside, (std::vector<std::int8_t>{-127, -127, 127, 0}));
}

TEST(Symmetric, ErrorIsAtMostHalfAStep) {
  for (const auto& [name, x] : testing::shapes_of_data(257)) {
    SCOPED_TRACE(name);
    const float scale = symmetric_scale(x);
    std::vector<std::int8_t> q(x.size());
    quantize_symmetric(x, scale, q);
    const Floats back = restored(q, {scale, 0});
    for (std::size_t i = 0; i < x.size(); ++i) {
      EXPECT_LE(std::abs(x[i] - back[i]), scale * 0.5001) << x[i];  // roundings as above
    }
  }
}

}  // namespace
}  // namespace qlora
