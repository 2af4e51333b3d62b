// The transfer task's functions by trying every byte, in double. The author's gates run on it; it
// is not handed out.
#include "fp8.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace qlora {
namespace {

// The magnitude of a byte without its sign bit, below 0x7f.
double magnitude(int bits) {
  const int exponent = bits / 8;
  const int mantissa = bits % 8;
  if (exponent == 0) return std::ldexp(mantissa / 8.0, -6);
  return std::ldexp(1.0 + mantissa / 8.0, exponent - 7);
}

}  // namespace

float from_e4m3(std::uint8_t bits) {
  const int rest = bits & 0x7f;
  if (rest == 0x7f) return std::numeric_limits<float>::quiet_NaN();
  const double value = magnitude(rest);
  return static_cast<float>((bits & 0x80) != 0 ? -value : value);
}

std::uint8_t to_e4m3(float x) {
  if (std::isnan(x)) return 0x7f;
  const double size = std::min(std::abs(double{x}), 448.0);
  int best = 0;
  for (int bits = 1; bits < 0x7f; ++bits) {
    const double distance = std::abs(magnitude(bits) - size);
    const double least = std::abs(magnitude(best) - size);
    if (distance < least || (distance == least && bits % 2 == 0)) best = bits;
  }
  return static_cast<std::uint8_t>(best | (std::signbit(x) ? 0x80 : 0));
}

}  // namespace qlora
