// How near to normal numbers are, and how evenly codes are used.
#pragma once

#include <cstdint>
#include <span>

namespace qlora::chapter03 {

/// m4 / m2² - 3, with moments around the mean: 0 for a normal distribution, -1.2 for a uniform one.
double excess_kurtosis(std::span<const float> x);

/// The correlation of the sorted numbers with the quantiles of a normal distribution, at up to
/// 10,000 places: 1 where a quantile plot is a straight line.
double quantile_correlation(std::span<const float> x);

/// -Σ p log2 p over the 16 codes: 4 bits where each is used equally often.
double code_entropy(std::span<const std::uint8_t> codes);

}  // namespace qlora::chapter03
