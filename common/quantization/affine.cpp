#include "quantization/affine.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"

namespace qlora {
namespace {

// A scale below the normal numbers would lose its digits, or be 0 and divide by it.
float usable_scale(double scale) {
  const auto rounded = static_cast<float>(scale);
  return rounded < std::numeric_limits<float>::min() ? 1.0f : rounded;
}

// Ties to even. The clamp comes before the conversion, which is undefined outside of the integers.
template <typename Int>
Int to_integer(float x, AffineParams params, float q_min, float q_max) {
  const auto zero_point = static_cast<float>(params.zero_point);
  if (std::isnan(x)) return static_cast<Int>(params.zero_point);
  const float q = std::nearbyint(x / params.scale) + zero_point;
  return static_cast<Int>(std::clamp(q, q_min, q_max));
}

}  // namespace

Range min_max_range(std::span<const float> x) {
  Range range{std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity()};
  for (const float value : x) {
    if (value < range.min) range.min = value;
    if (value > range.max) range.max = value;
  }
  return range.min <= range.max ? range : Range{};
}

template <typename Int>
AffineParams affine_params(Range range) {
  require(std::isfinite(range.min) && std::isfinite(range.max) && range.min <= range.max,
          "affine_params", "a finite range with min <= max");
  const double q_min = std::numeric_limits<Int>::min();
  const double q_max = std::numeric_limits<Int>::max();
  const double min = std::min(range.min, 0.0f);
  const double max = std::max(range.max, 0.0f);
  const float scale = usable_scale((max - min) / (q_max - q_min));
  const double zero_point = std::nearbyint(q_min - min / scale);
  return {scale, static_cast<std::int32_t>(std::clamp(zero_point, q_min, q_max))};
}

template <typename Int>
void quantize_affine(std::span<const float> x, AffineParams params, std::span<Int> q) {
  require(x.size() == q.size(), "quantize_affine", "as many integers as values");
  constexpr float q_min = std::numeric_limits<Int>::min();
  constexpr float q_max = std::numeric_limits<Int>::max();
  for (std::size_t i = 0; i < x.size(); ++i) q[i] = to_integer<Int>(x[i], params, q_min, q_max);
}

template <typename Int>
void dequantize_affine(std::span<const Int> q, AffineParams params, std::span<float> x) {
  require(q.size() == x.size(), "dequantize_affine", "as many values as integers");
  for (std::size_t i = 0; i < q.size(); ++i) {
    x[i] = static_cast<float>(q[i] - params.zero_point) * params.scale;
  }
}

float symmetric_scale(std::span<const float> x) {
  const Range range = min_max_range(x);
  const float absmax = std::max(std::abs(range.min), std::abs(range.max));
  require(std::isfinite(absmax), "symmetric_scale", "finite values");
  return usable_scale(static_cast<double>(absmax) / 127.0);
}

void quantize_symmetric(std::span<const float> x, float scale, std::span<std::int8_t> q) {
  require(x.size() == q.size(), "quantize_symmetric", "as many integers as values");
  const AffineParams params{scale, 0};
  for (std::size_t i = 0; i < x.size(); ++i) {
    q[i] = to_integer<std::int8_t>(x[i], params, -127.0f, 127.0f);
  }
}

template AffineParams affine_params<std::uint8_t>(Range);
template AffineParams affine_params<std::int8_t>(Range);
template void quantize_affine<std::uint8_t>(std::span<const float>, AffineParams,
                                            std::span<std::uint8_t>);
template void quantize_affine<std::int8_t>(std::span<const float>, AffineParams,
                                           std::span<std::int8_t>);
template void dequantize_affine<std::uint8_t>(std::span<const std::uint8_t>, AffineParams,
                                              std::span<float>);
template void dequantize_affine<std::int8_t>(std::span<const std::int8_t>, AffineParams,
                                             std::span<float>);

}  // namespace qlora
