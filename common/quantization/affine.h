// Min-max (affine, asymmetric) and symmetric quantization to 8-bit integers.
#pragma once

#include <cstdint>
#include <span>

namespace qlora {

/// The real values that the integers shall stand for.
struct Range {
  float min = 0.0f;  ///< gets the smallest integer
  float max = 0.0f;  ///< gets the largest
};

/// q = round(x / scale) + zero_point, x ≈ (q - zero_point) * scale.
struct AffineParams {
  float scale = 1.0f;           ///< the real step from one integer to the next
  std::int32_t zero_point = 0;  ///< the integer that stands for 0.0 exactly
};

/// Calibration: the smallest and the largest value of the data. NaN is ignored; [0, 0] where
/// nothing remains.
Range min_max_range(std::span<const float> x);

/// Scale and zero point that spread all of Int over the range:
/// scale = (max - min) / (q_max - q_min), zero_point = round(q_min - min / scale).
///
/// The range is widened to contain 0, for otherwise no integer would stand for 0.0 exactly. Where
/// that leaves nothing but 0 (all values 0), the scale is 1 rather than 0. Integers: uint8, int8.
/// @throws std::invalid_argument if the range is not finite or min > max
template <typename Int>
AffineParams affine_params(Range range);

/// q = clamp(round(x / scale) + zero_point, q_min, q_max), ties to even (as torch.round); a NaN
/// gets the zero point. Inside the range |x - x'| is at most scale / 2 and a rounding of float32.
/// @throws std::invalid_argument if x and q differ in size
template <typename Int>
void quantize_affine(std::span<const float> x, AffineParams params, std::span<Int> q);

/// x' = (q - zero_point) * scale.
/// @throws std::invalid_argument if q and x differ in size
template <typename Int>
void dequantize_affine(std::span<const Int> q, AffineParams params, std::span<float> x);

/// The scale of symmetric int8, absmax / 127; 1 where all values are 0. Zero point: 0.
/// @throws std::invalid_argument if a value is infinite
float symmetric_scale(std::span<const float> x);

/// q = clamp(round(x / scale), -127, 127), ties to even: -128 is left out, so that -x gets -q.
/// A NaN gets 0. Restored by dequantize_affine with zero point 0.
/// @throws std::invalid_argument if x and q differ in size
void quantize_symmetric(std::span<const float> x, float scale, std::span<std::int8_t> q);

}  // namespace qlora
