// What a value is after quantizing and restoring it, in floating point: integers of any width.
#pragma once

#include <cstdint>
#include <span>

namespace qlora {

/// out[i] = clamp(round(x[i] / s), -Q, Q) * s with Q = 2^(bits - 1) - 1 and, for each run of
/// `blocksize` values, s = absmax / Q: symmetric integers, ties to even. A NaN becomes 0, as does a
/// block of zeros. The last block may be short; blocksize = columns is row-wise, = n per tensor.
///
/// @param x     [n]
/// @param bits  2 to 16
/// @param out   [n]; may be x
/// @throws std::invalid_argument if sizes, bits or blocksize do not fit
void fake_quantize_absmax(std::span<const float> x, int bits, std::int64_t blocksize,
                          std::span<float> out);

}  // namespace qlora
