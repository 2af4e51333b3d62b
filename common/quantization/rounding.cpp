#include "quantization/rounding.h"

#include <bit>
#include <cstdint>

#include "core/error.h"

namespace qlora {
namespace {

constexpr std::uint32_t kSign = 0x80000000u;
constexpr std::uint32_t kInfinity = 0x7f800000u;

// Magnitudes are compared as signed integers, for which every vector unit has an instruction.
bool is_above(std::uint32_t magnitude, std::uint32_t limit) {
  return static_cast<std::int32_t>(magnitude) > static_cast<std::int32_t>(limit);
}

// Half a unit of the last bit that remains, less one where that bit is even; then the rest is cut.
std::uint32_t round_off(std::uint32_t bits, int dropped) {
  const std::uint32_t below_half = (1u << (dropped - 1)) - 1u;
  return (bits + below_half + ((bits >> dropped) & 1u)) >> dropped << dropped;
}

float to_nearest_bfloat16(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const float rounded = std::bit_cast<float>(round_off(bits, 16));
  return is_above(bits & ~kSign, kInfinity) ? x : rounded;
}

float to_nearest_half(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t magnitude = bits & ~kSign;
  // Below 2^-14 a half has the fixed unit 2^-24, which is also that of float32 from 0.5 to 1.
  const float fixed = (std::bit_cast<float>(magnitude) + 0.5f) - 0.5f;
  const std::uint32_t cut = round_off(magnitude, 13);
  const std::uint32_t finite =
      is_above(0x38800000u, magnitude) ? std::bit_cast<std::uint32_t>(fixed) : cut;
  const std::uint32_t rounded = is_above(finite, 0x477fe000u) ? kInfinity : finite;  // above 65504
  const float result = std::bit_cast<float>(rounded | (bits & kSign));
  return is_above(magnitude, kInfinity) ? x : result;
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
