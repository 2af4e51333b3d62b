// The element types of tensors, and the two 16-bit floating-point formats in software.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace qlora {

/// Element types; the names in safetensors files are F64, F32, F16, BF16, I64, I32, I8, U8, BOOL.
enum class DType { f64, f32, f16, bf16, i64, i32, i8, u8, boolean };

/// Bytes of one element.
std::size_t size_of(DType dtype);

/// The name in a safetensors header ("F32").
std::string_view safetensors_name(DType dtype);
std::optional<DType> dtype_from_safetensors(std::string_view name);

/// The name in Python ("float32"); config.json and quant_state use it without "torch.".
std::string_view python_name(DType dtype);
std::optional<DType> dtype_from_python(std::string_view name);

/// Whether it is f64, f32, f16 or bf16.
bool is_floating(DType dtype);

/// IEEE binary16: 1 sign, 5 exponent, 10 mantissa bits.
struct Half {
  std::uint16_t bits = 0;  ///< the sign is the highest
};

/// bfloat16: the upper half of a float32.
struct BFloat16 {
  std::uint16_t bits = 0;  ///< 1 sign, 8 exponent, 7 mantissa bits
};

/// Exact.
float to_float(Half h);
float to_float(BFloat16 b);

/// Rounded to nearest, ties to even; overflow gives infinity, a NaN stays a NaN.
Half to_half(float x);
BFloat16 to_bfloat16(float x);

/// The DType of a C++ element type: dtype_of<float>() is f32.
template <typename T>
constexpr DType dtype_of();
template <>
constexpr DType dtype_of<double>() {
  return DType::f64;
}
template <>
constexpr DType dtype_of<float>() {
  return DType::f32;
}
template <>
constexpr DType dtype_of<Half>() {
  return DType::f16;
}
template <>
constexpr DType dtype_of<BFloat16>() {
  return DType::bf16;
}
template <>
constexpr DType dtype_of<std::int64_t>() {
  return DType::i64;
}
template <>
constexpr DType dtype_of<std::int32_t>() {
  return DType::i32;
}
template <>
constexpr DType dtype_of<std::int8_t>() {
  return DType::i8;
}
template <>
constexpr DType dtype_of<std::uint8_t>() {
  return DType::u8;
}
template <>
constexpr DType dtype_of<bool>() {
  return DType::boolean;
}

}  // namespace qlora
