// Chapter 2, transfer task: FP8 E4M3, a floating-point number in one byte.
#pragma once

#include <cstdint>

namespace qlora {

/// The number of an E4M3 byte (OCP 8-bit Floating Point Specification, 2023): 1 sign, 4 exponent
/// and 3 mantissa bits with bias 7, read as formats.h says, but for the largest exponent, which is
/// an ordinary one: there is no infinity, and only 0x7f and 0xff, all bits but the sign set, are
/// NaN. The largest number is 448, the smallest above zero 2^-9.
float from_e4m3(std::uint8_t bits);

/// The byte of the number nearest to x, ties to the even mantissa. What is larger than 448 becomes
/// 448, infinity too, of either sign; a NaN becomes 0x7f. Zero keeps its sign, and so does what
/// rounds to it.
std::uint8_t to_e4m3(float x);

}  // namespace qlora
