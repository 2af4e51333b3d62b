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

// No value is chosen by a branch over floating-point arithmetic, which the compiler would keep.
float to_nearest_half(float x) {
  constexpr std::uint32_t kSmallestNormalHalf = 0x38800000u;  // 2^-14
  constexpr std::uint32_t kLargestHalf = 0x477fe000u;         // 65504
  constexpr std::uint32_t kOverflow = 0x477ff000u;            // 65520, rounds to 2^16
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t magnitude = bits & ~kSign;
  const std::uint32_t limited = is_above(magnitude, kOverflow) ? kOverflow : magnitude;
  // 2^13 times the power of two below x has, in float32, the unit that x has as a half: adding it
  // rounds, and subtracting it leaves the rounded value. Below 2^-14 the unit stays the same.
  const std::uint32_t power = limited & kInfinity;
  const std::uint32_t normal = is_above(kSmallestNormalHalf, power) ? kSmallestNormalHalf : power;
  const float shift = std::bit_cast<float>(normal + (13u << 23));
  const float sum = std::bit_cast<float>(limited) + shift;
  const auto rounded = std::bit_cast<std::uint32_t>(sum - shift);
  const std::uint32_t infinite = is_above(rounded, kLargestHalf) ? kInfinity : 0u;
  const std::uint32_t nan = is_above(magnitude, kInfinity) ? kInfinity | 0x400000u : 0u;
  return std::bit_cast<float>((bits & kSign) | rounded | infinite | nan);
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
