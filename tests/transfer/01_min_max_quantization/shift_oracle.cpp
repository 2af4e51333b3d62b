// The transfer task's functions by trying everything: all exponents, all integers, in double. The
// author's gates run on it; it is not handed out.
#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "shift.h"

namespace qlora {
namespace {

bool all_fit(std::span<const float> x, int exponent) {
  const double largest = std::ldexp(127.0, exponent);
  for (const float value : x) {
    if (std::abs(double{value}) > largest) return false;  // a NaN is not
  }
  return true;
}

bool all_zero(std::span<const float> x) {
  for (const float value : x) {
    if (std::abs(value) > 0.0f) return false;
  }
  return true;
}

// The nearest of the 255 integers; of two equally near the even one.
int nearest(double x, double step) {
  int best = 0;
  for (int q = -127; q <= 127; ++q) {
    const double distance = std::abs(x - q * step);
    const double least = std::abs(x - best * step);
    if (distance < least || (distance == least && q % 2 == 0)) best = q;
  }
  return best;
}

}  // namespace

int shift_exponent(std::span<const float> x) {
  for (const float value : x) require(!std::isinf(value), "shift_exponent", "finite values");
  if (all_zero(x)) return 0;
  int exponent = -126;
  while (exponent < 121 && !all_fit(x, exponent)) ++exponent;
  return exponent;
}

void quantize_shift(std::span<const float> x, int exponent, std::span<std::int8_t> q) {
  require(x.size() == q.size(), "quantize_shift", "as many integers as values");
  const double step = std::ldexp(1.0, exponent);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double value = std::isnan(x[i]) ? 0.0 : double{x[i]};
    // beyond the last integers all distances are as good as equal in double
    q[i] = static_cast<std::int8_t>(nearest(std::clamp(value, -200.0 * step, 200.0 * step), step));
  }
}

void dequantize_shift(std::span<const std::int8_t> q, int exponent, std::span<float> x) {
  require(q.size() == x.size(), "dequantize_shift", "as many values as integers");
  for (std::size_t i = 0; i < q.size(); ++i) {
    x[i] = static_cast<float>(std::ldexp(static_cast<double>(q[i]), exponent));
  }
}

}  // namespace qlora
