#include "core/dtype.h"

#include <array>
#include <bit>

#include "core/error.h"

namespace qlora {
namespace {

struct Names {
  DType dtype;
  std::size_t size;
  std::string_view safetensors;
  std::string_view python;
};

constexpr std::array<Names, 9> kNames{{
    {DType::f64, 8, "F64", "float64"},
    {DType::f32, 4, "F32", "float32"},
    {DType::f16, 2, "F16", "float16"},
    {DType::bf16, 2, "BF16", "bfloat16"},
    {DType::i64, 8, "I64", "int64"},
    {DType::i32, 4, "I32", "int32"},
    {DType::i8, 1, "I8", "int8"},
    {DType::u8, 1, "U8", "uint8"},
    {DType::boolean, 1, "BOOL", "bool"},
}};

const Names& names_of(DType dtype) {
  for (const Names& n : kNames) {
    if (n.dtype == dtype) return n;
  }
  throw std::invalid_argument("not a dtype");
}

}  // namespace

std::size_t size_of(DType dtype) {
  return names_of(dtype).size;
}
std::string_view safetensors_name(DType dtype) {
  return names_of(dtype).safetensors;
}
std::string_view python_name(DType dtype) {
  return names_of(dtype).python;
}

std::optional<DType> dtype_from_safetensors(std::string_view name) {
  for (const Names& n : kNames) {
    if (n.safetensors == name) return n.dtype;
  }
  return std::nullopt;
}

std::optional<DType> dtype_from_python(std::string_view name) {
  for (const Names& n : kNames) {
    if (n.python == name) return n.dtype;
  }
  return std::nullopt;
}

bool is_floating(DType dtype) {
  return dtype == DType::f64 || dtype == DType::f32 || dtype == DType::f16 || dtype == DType::bf16;
}

float to_float(BFloat16 b) {
  return std::bit_cast<float>(std::uint32_t{b.bits} << 16);
}

BFloat16 to_bfloat16(float x) {
  auto bits = std::bit_cast<std::uint32_t>(x);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return {static_cast<std::uint16_t>((bits >> 16) | 0x40u)};
  bits += 0x7fffu + ((bits >> 16) & 1u);  // half an ulp, less one bit where the result is even
  return {static_cast<std::uint16_t>(bits >> 16)};
}

float to_float(Half h) {
  const std::uint32_t sign = std::uint32_t{h.bits & 0x8000u} << 16;
  const std::uint32_t exponent = (h.bits >> 10) & 0x1fu;
  const std::uint32_t mantissa = h.bits & 0x3ffu;
  if (exponent == 0) {  // zero or subnormal: mantissa * 2^-24, exact in float32
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
    return std::bit_cast<float>(std::bit_cast<std::uint32_t>(magnitude) | sign);
  }
  const std::uint32_t widened = exponent == 31 ? 0xffu : exponent + 112;
  return std::bit_cast<float>(sign | (widened << 23) | (mantissa << 13));
}

Half to_half(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const auto sign = static_cast<std::uint16_t>((bits >> 16) & 0x8000u);
  const std::uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return {static_cast<std::uint16_t>(sign | 0x7e00u)};
  if (magnitude >= 0x477ff000u) return {static_cast<std::uint16_t>(sign | 0x7c00u)};  // >= 65520
  if (magnitude < 0x38800000u) {
    // Subnormal in binary16. Adding 0.5 puts the bits that remain at the end of a float32 whose ulp
    // is 2^-24, the ulp of a subnormal half: the hardware does the rounding.
    const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
    return {
        static_cast<std::uint16_t>(sign | (std::bit_cast<std::uint32_t>(shifted) - 0x3f000000u))};
  }
  const std::uint32_t rounded = magnitude + 0xfffu + ((magnitude >> 13) & 1u);
  return {static_cast<std::uint16_t>(sign | ((rounded - 0x38000000u) >> 13))};
}

}  // namespace qlora
