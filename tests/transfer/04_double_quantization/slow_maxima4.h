// What the four-bit maxima are, told slowly: groups cut out one by one, all sixteen codes tried.
#pragma once

#include <cmath>
#include <span>
#include <vector>

namespace slow_maxima4 {

/// Group g of the maxima, as numbers of its own.
inline std::vector<double> group_of(std::span<const float> maxima, std::size_t g,
                                    std::size_t size) {
  std::vector<double> group;
  for (std::size_t b = 0; b < maxima.size(); ++b) {
    if (b / size == g) group.push_back(static_cast<double>(maxima[b]));
  }
  return group;
}

/// The code whose value low + code * step is nearest to `target`; of two equally near the lower.
inline int nearest_code(double target, double low, double step) {
  int best = 0;
  for (int code = 1; code < 16; ++code) {
    if (std::abs(low + code * step - target) < std::abs(low + best * step - target)) best = code;
  }
  return best;
}

}  // namespace slow_maxima4
