#include "quantization/formats.h"

#include <bit>
#include <cmath>
#include <limits>

#include "core/error.h"

namespace qlora {

double FloatFormat::largest() const {
  return std::ldexp(2.0 - epsilon(), bias());
}
double FloatFormat::smallest_normal() const {
  return std::ldexp(1.0, 1 - bias());
}
double FloatFormat::smallest_subnormal() const {
  return std::ldexp(1.0, 1 - bias() - mantissa_bits);
}
double FloatFormat::epsilon() const {
  return std::ldexp(1.0, -mantissa_bits);
}

FloatFormat float_format(DType dtype) {
  if (dtype == DType::f32) return {"FP32", dtype, 8, 23};
  if (dtype == DType::f16) return {"FP16", dtype, 5, 10};
  require(dtype == DType::bf16, "float_format", "f32, f16 or bf16");
  return {"BF16", dtype, 8, 7};
}

std::uint32_t pattern_of(const FloatFormat& format, float x) {
  if (format.dtype == DType::f16) return to_half(x).bits;
  if (format.dtype == DType::bf16) return to_bfloat16(x).bits;
  return std::bit_cast<std::uint32_t>(x);
}

// [fields]
FloatFields fields_of(const FloatFormat& format, std::uint32_t pattern) {
  const std::uint32_t exponents = (1u << format.exponent_bits) - 1u;
  const std::uint32_t mantissas = (1u << format.mantissa_bits) - 1u;
  return {(pattern >> (format.bits() - 1)) & 1u, (pattern >> format.mantissa_bits) & exponents,
          pattern & mantissas};
}
// [/fields]

double value_of(const FloatFormat& format, FloatFields fields) {
  const std::uint32_t largest_exponent = (1u << format.exponent_bits) - 1u;
  const double fraction = std::ldexp(static_cast<double>(fields.mantissa), -format.mantissa_bits);
  double magnitude = 0.0;
  if (fields.exponent == 0) {
    magnitude = std::ldexp(fraction, 1 - format.bias());
  } else if (fields.exponent < largest_exponent) {
    magnitude = std::ldexp(1.0 + fraction, static_cast<int>(fields.exponent) - format.bias());
  } else {
    magnitude = fields.mantissa == 0 ? std::numeric_limits<double>::infinity()
                                     : std::numeric_limits<double>::quiet_NaN();
  }
  return fields.sign == 1 ? -magnitude : magnitude;
}

std::string to_string(const FloatFormat& format, std::uint32_t pattern) {
  std::string text;
  for (int i = format.bits() - 1; i >= 0; --i) {
    text += (pattern >> i) & 1u ? '1' : '0';
    if (i == format.bits() - 1 || i == format.mantissa_bits) text += ' ';
  }
  return text;
}

}  // namespace qlora
