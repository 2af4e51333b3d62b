// What a value is after quantizing and restoring it, in floating point: integers of any width.
#pragma once

#include <cstdint>
#include <span>

namespace qlora {

/// out[i] = clamp(round(x[i] / s), -Q, Q) * s with Q = 2^(bits - 1) - 1 and s = range / Q:
/// symmetric integers whose largest stands for `range`, ties to even. A NaN becomes 0, as does
/// everything where the range is 0. T is float or double.
///
/// @param x      [n], values that share the range
/// @param bits   2 to 16
/// @param range  not negative
/// @param out    [n]; may be x
/// @throws std::invalid_argument if sizes or bits do not fit
template <typename T>
void fake_quantize_range(std::span<const T> x, int bits, T range, std::span<T> out);

/// The same of each run of `blocksize` values, with the run's absmax for its range. The last block
/// may be short; blocksize = columns is row-wise, = n per tensor.
///
/// @param x     [n]
/// @param bits  2 to 16
/// @param out   [n]; may be x
/// @throws std::invalid_argument if sizes, bits or blocksize do not fit
void fake_quantize_absmax(std::span<const float> x, int bits, std::int64_t blocksize,
                          std::span<float> out);

}  // namespace qlora
