#include "quantization/calibration.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/error.h"

namespace qlora {
namespace {

// The value at place `place` of sorted values; between two places the line through both.
float interpolated(const std::vector<float>& sorted, double place) {
  const auto below = static_cast<std::size_t>(place);
  const double share = place - static_cast<double>(below);
  const double low = sorted[below];
  if (share == 0.0) return sorted[below];  // there may be no value above, or an infinite one
  return static_cast<float>(low + share * (double{sorted[below + 1]} - low));
}

}  // namespace

Range percentile_range(std::span<const float> x, double percent) {
  require(percent > 0.0 && percent <= 100.0, "percentile_range", "0 < percent <= 100");
  std::vector<float> sorted;
  std::copy_if(x.begin(), x.end(), std::back_inserter(sorted),
               [](float value) { return !std::isnan(value); });
  if (sorted.empty()) return {};
  std::sort(sorted.begin(), sorted.end());
  const auto last = static_cast<double>(sorted.size() - 1);
  const double left_out = (100.0 - percent) / 200.0 * last;
  return {interpolated(sorted, left_out), interpolated(sorted, last - left_out)};
}

template <typename Int>
double squared_error(std::span<const float> x, Range range) {
  const AffineParams params = affine_params<Int>(range);
  std::vector<Int> q(x.size());
  std::vector<float> restored(x.size());
  quantize_affine<Int>(x, params, q);
  dequantize_affine<Int>(q, params, restored);
  double sum = 0.0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double error = double{x[i]} - double{restored[i]};
    if (!std::isnan(x[i])) sum += error * error;
  }
  return sum;
}

template <typename Int>
Range mse_range(std::span<const float> x, int steps) {
  require(steps >= 1, "mse_range", "at least one step");
  const Range all = min_max_range(x);
  Range best = all;
  double least = squared_error<Int>(x, all);
  for (int k = steps - 1; k >= 1; --k) {
    const float share = static_cast<float>(k) / static_cast<float>(steps);
    const Range range{all.min * share, all.max * share};
    const double error = squared_error<Int>(x, range);
    if (error >= least) continue;
    best = range;
    least = error;
  }
  return best;
}

template double squared_error<std::uint8_t>(std::span<const float>, Range);
template double squared_error<std::int8_t>(std::span<const float>, Range);
template Range mse_range<std::uint8_t>(std::span<const float>, int);
template Range mse_range<std::int8_t>(std::span<const float>, int);

}  // namespace qlora
