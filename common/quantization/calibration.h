// Calibration: which real values the integers shall cover, when covering all of them costs more.
#pragma once

#include "quantization/affine.h"

namespace qlora {

/// The middle `percent` of the values: from the quantile (100 - percent) / 200 to the quantile
/// (100 + percent) / 200. A quantile between two of the sorted values is interpolated linearly
/// (numpy.percentile's default). 100 gives min_max_range(). NaN is ignored; [0, 0] where nothing
/// remains.
/// @throws std::invalid_argument unless 0 < percent <= 100
Range percentile_range(std::span<const float> x, double percent);

/// Σ (x - x')², summed in float64, where x' is x quantized to Int and restored with
/// affine_params<Int>(range): what is outside the range is clamped and counts too. NaN is ignored.
/// Integers: uint8, int8.
/// @throws std::invalid_argument as affine_params
template <typename Int>
double squared_error(std::span<const float> x, Range range);

/// Of min_max_range(x) times k / steps, k = 1 … steps, the range with the least squared_error; of
/// equally good ones the widest. A narrower range clamps the largest values and has a finer step
/// for all others.
/// @throws std::invalid_argument if steps < 1 or a value is infinite
template <typename Int>
Range mse_range(std::span<const float> x, int steps = 100);

}  // namespace qlora
