// Where the bits of a floating-point number go: FP32, FP16 and BF16.
#pragma once

#include <cstdint>
#include <string>

#include "core/dtype.h"

namespace qlora {

/// A sign bit, then the exponent's bits, then the mantissa's (IEEE 754, section 3.4). A stored
/// exponent e between 0 and its largest value means (-1)^sign * 2^(e - bias) * (1 + m / 2^M), where
/// M is the number of mantissa bits.
struct FloatFormat {
  std::string_view name;  ///< "FP32"
  DType dtype;            ///< that has it
  int exponent_bits;      ///< they decide the range
  int mantissa_bits;      ///< they decide the precision

  /// 1 + exponent_bits + mantissa_bits.
  int bits() const { return 1 + exponent_bits + mantissa_bits; }
  /// 2^(exponent_bits - 1) - 1.
  int bias() const { return (1 << (exponent_bits - 1)) - 1; }
  /// The largest finite number, (2 - 2^-M) * 2^bias.
  double largest() const;
  /// The smallest number with a full mantissa, 2^(1 - bias).
  double smallest_normal() const;
  /// The smallest number above zero, 2^(1 - bias - M).
  double smallest_subnormal() const;
  /// The distance from 1 to the next number, 2^-M.
  double epsilon() const;
};

/// FP32, FP16 or BF16. @throws std::invalid_argument on a dtype other than f32, f16 and bf16
FloatFormat float_format(DType dtype);

/// The three parts of a number's bits.
struct FloatFields {
  std::uint32_t sign = 0;      ///< 1: negative
  std::uint32_t exponent = 0;  ///< as stored
  std::uint32_t mantissa = 0;  ///< without the leading 1
};

/// The bits of the number nearest to x (ties to even; core/dtype.h), right-aligned.
std::uint32_t pattern_of(const FloatFormat& format, float x);

/// A pattern cut into its parts.
FloatFields fields_of(const FloatFormat& format, std::uint32_t pattern);

/// The number that the parts stand for, exactly: with exponent 0 a subnormal
/// (-1)^sign * 2^(1 - bias) * m / 2^M, with the largest exponent infinity (m = 0) or NaN.
double value_of(const FloatFormat& format, FloatFields fields);

/// "0 01111111 00000000000000000000000": sign, exponent, mantissa.
std::string to_string(const FloatFormat& format, std::uint32_t pattern);

}  // namespace qlora
