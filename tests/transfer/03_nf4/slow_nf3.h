// What NF3 is, told slowly: quantiles by bisection, the nearest value by trying all, bits as text.
#pragma once

#include <cmath>
#include <string>
#include <vector>

namespace slow_nf3 {

/// Where a normal number is below with probability p, by halving.
inline double quantile(double p) {
  double low = -40.0;
  double high = 40.0;
  for (int step = 0; step < 200; ++step) {
    const double middle = (low + high) / 2.0;
    (std::erfc(-middle / std::sqrt(2.0)) / 2.0 < p ? low : high) = middle;
  }
  return low;
}

/// Index of the value nearest to `target`; of two equally near the first.
inline int nearest(double target, const std::vector<double>& values) {
  int best = 0;
  for (int k = 1; k < static_cast<int>(values.size()); ++k) {
    const auto at = [&](int i) { return std::abs(values[static_cast<std::size_t>(i)] - target); };
    if (at(k) < at(best)) best = k;
  }
  return best;
}

/// "101" for 5.
inline std::string bits_of_code(int code) {
  std::string text;
  for (const int bit : {4, 2, 1}) text += (code & bit) != 0 ? '1' : '0';
  return text;
}

/// The number that eight binary digits, or fewer with zeros behind them, stand for.
inline int byte_of_bits(std::string text) {
  text.resize(8, '0');
  return std::stoi(text, nullptr, 2);
}

/// Eight binary digits.
inline std::string bits_of_byte(int byte) {
  std::string text;
  for (int bit = 128; bit > 0; bit /= 2) text += (byte & bit) != 0 ? '1' : '0';
  return text;
}

}  // namespace slow_nf3
