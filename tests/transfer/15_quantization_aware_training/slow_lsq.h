// LSQ the slow way: the code by trying all of them, gradients by finite differences of a function
// in which rounding is replaced by what the straight-through estimator takes it for.
#pragma once

#include <algorithm>
#include <cmath>

namespace qlora::testing {

/// The smallest and the largest code of so many bits.
struct LsqCodes {
  double lowest, highest;
  explicit LsqCodes(int bits)
      : lowest(-std::pow(2.0, bits - 1)), highest(std::pow(2.0, bits - 1) - 1.0) {}
};

/// The code that z is nearest to, of two equally near the even one.
inline double slow_code(int bits, double z) {
  const LsqCodes codes(bits);
  double best = codes.lowest;
  for (double code = codes.lowest; code <= codes.highest; code += 1.0) {
    const double nearer = std::abs(z - best) - std::abs(z - code);
    if (nearer > 0 || (nearer == 0 && std::fmod(code, 2.0) == 0)) best = code;
  }
  return best;
}

/// v_q of v and s near (v0, s0) with a rounding that is off by as much as at (v0, s0): its error is
/// a constant, and the rest can be differentiated.
inline double smooth_lsq(int bits, double v0, double s0, double v, double s) {
  const LsqCodes codes(bits);
  const auto cut = [&](double z) { return std::clamp(z, codes.lowest, codes.highest); };
  const double off = slow_code(bits, v0 / s0) - cut(v0 / s0);
  return s * (cut(v / s) + off);
}

/// Central differences of smooth_lsq by v and by s, at a point that is not where it is cut.
inline double slow_dv(int bits, double v, double s) {
  const double h = 1e-6 * std::max(1.0, std::abs(v));
  return (smooth_lsq(bits, v, s, v + h, s) - smooth_lsq(bits, v, s, v - h, s)) / (2 * h);
}
inline double slow_ds(int bits, double v, double s) {
  const double h = 1e-6 * s;
  return (smooth_lsq(bits, v, s, v, s + h) - smooth_lsq(bits, v, s, v, s - h)) / (2 * h);
}

}  // namespace qlora::testing
