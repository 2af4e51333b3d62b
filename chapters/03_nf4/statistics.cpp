#include "statistics.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "quantization/normal_quantiles.h"

namespace qlora::chapter03 {

double excess_kurtosis(std::span<const float> x) {
  const auto n = static_cast<double>(x.size());
  double mean = 0.0;
  for (const float value : x) mean += value;
  mean /= n;
  double second = 0.0;
  double fourth = 0.0;
  for (const float value : x) {
    const double square = std::pow(static_cast<double>(value) - mean, 2);
    second += square;
    fourth += square * square;
  }
  return n * fourth / (second * second) - 3.0;
}

double quantile_correlation(std::span<const float> x) {
  std::vector<float> sorted(x.begin(), x.end());
  std::sort(sorted.begin(), sorted.end());
  constexpr std::size_t kPlaces = 10000;
  const std::size_t step = std::max<std::size_t>(1, sorted.size() / kPlaces);
  double n = 0.0;
  std::array<double, 5> sums{};  // a, b, a², b², ab
  for (std::size_t i = step / 2; i < sorted.size(); i += step) {
    const double a = sorted[i];
    const double b =
        normal_quantile((static_cast<double>(i) + 0.5) / static_cast<double>(sorted.size()));
    const std::array<double, 5> terms{a, b, a * a, b * b, a * b};
    for (std::size_t k = 0; k < sums.size(); ++k) sums[k] += terms[k];
    n += 1.0;
  }
  const double covariance = n * sums[4] - sums[0] * sums[1];
  return covariance /
         std::sqrt((n * sums[2] - sums[0] * sums[0]) * (n * sums[3] - sums[1] * sums[1]));
}

double code_entropy(std::span<const std::uint8_t> codes) {
  std::array<double, 16> count{};
  for (const std::uint8_t code : codes) count[code] += 1.0;
  double bits = 0.0;
  for (const double c : count) {
    const double p = c / static_cast<double>(codes.size());
    if (p > 0.0) bits -= p * std::log2(p);
  }
  return bits;
}

}  // namespace qlora::chapter03
