// Where the values of NF4 come from: quantiles of the normal distribution.
#pragma once

#include "quantization/codebook.h"

namespace qlora {

/// Φ⁻¹(p): a standard normal number is below it with probability p. Off by a few 10^-16 of
/// its value, or of 1 where it is smaller; -inf at 0 and inf at 1.
/// @throws std::invalid_argument unless p is in [0, 1]
double normal_quantile(double p);

/// Where bitsandbytes begins instead of at probability 1, whose quantile is infinite: the mean of
/// 1 - 1/32 and 1 - 1/30, written with seven digits as there.
inline constexpr double kNormalMapOffset = 0.9677083;

/// The codebook as bitsandbytes derives it (functional.create_normal_map): 8 positive values
/// Φ⁻¹(p) at p = linspace(offset, 1/2, 9) without the last, 7 negative ones -Φ⁻¹(p) at
/// linspace(offset, 1/2, 8) without the last, and 0; ascending, divided by the largest.
///
/// The probabilities are torch's float32 linspace, and the division is float32: only so do all 16
/// values have the published bits (kNf4Code).
///
/// @param offset  in (1/2, 1)
/// @throws std::invalid_argument on another offset
Codebook create_normal_map(double offset = kNormalMapOffset);

/// The float32 (code[k] + code[k+1]) / 2: beyond which the next value is nearer.
std::array<float, 15> midpoints(const Codebook& code);

}  // namespace qlora
