// Chapter 1, transfer task: symmetric int8 whose scale is a power of two. A processor without
// floating point then restores a number by a shift.
#pragma once

#include <cstdint>
#include <span>

namespace qlora {

/// The least e of -126 … 121 with max |x| <= 127 * 2^e: the finest power of two with which no value
/// has to be clamped; 121, with which every integer still restores to a finite number, where a
/// value is larger than that. 0 where all values are 0 or there are none. NaN is ignored.
/// @throws std::invalid_argument if a value is infinite
int shift_exponent(std::span<const float> x);

/// q = clamp(round(x / 2^exponent), -127, 127), ties to even; a NaN gets 0.
/// @throws std::invalid_argument if x and q differ in size
void quantize_shift(std::span<const float> x, int exponent, std::span<std::int8_t> q);

/// x' = q * 2^exponent, exactly.
/// @throws std::invalid_argument if q and x differ in size
void dequantize_shift(std::span<const std::int8_t> q, int exponent, std::span<float> x);

}  // namespace qlora
