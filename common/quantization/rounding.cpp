#include "quantization/rounding.h"

#include <bit>
#include <cstdint>

#include "core/error.h"

namespace qlora {
namespace {

constexpr std::uint32_t kSign = 0x80000000u;
constexpr std::uint32_t kInfinity = 0x7f800000u;

// Half a unit of the last bit that remains, less one where that bit is even; then the rest is cut.
std::uint32_t round_off(std::uint32_t bits, int dropped) {
  const std::uint32_t below_half = (1u << (dropped - 1)) - 1u;
  return (bits + below_half + ((bits >> dropped) & 1u)) >> dropped << dropped;
}

float to_nearest_bfloat16(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t rounded = round_off(bits, 16);
  return (bits & ~kSign) > kInfinity ? x : std::bit_cast<float>(rounded);
}

float to_nearest_half(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t magnitude = bits & ~kSign;
  // Below 2^-14 a half has the fixed unit 2^-24, which is also that of float32 from 0.5 to 1.
  const float fixed = (std::bit_cast<float>(magnitude) + 0.5f) - 0.5f;
  std::uint32_t rounded = magnitude < 0x38800000u ? std::bit_cast<std::uint32_t>(fixed)
                                                  : round_off(magnitude, 13);
  rounded = rounded > 0x477fe000u ? kInfinity : rounded;  // above 65504
  const float result = std::bit_cast<float>(rounded | (bits & kSign));
  return magnitude > kInfinity ? x : result;
}

}  // namespace

void round_to(DType dtype, std::span<float> values) {
  switch (dtype) {
    case DType::f32:
      return;
    case DType::bf16:
      for (float& x : values) x = to_nearest_bfloat16(x);
      return;
    case DType::f16:
      for (float& x : values) x = to_nearest_half(x);
      return;
    default:
      require(false, "round_to", "f32, f16 or bf16");
  }
}

}  // namespace qlora
