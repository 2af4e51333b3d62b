#include "quantization/block_absmax.h"

#include "quantization/flush.h"

namespace qlora {

float block_absmax(std::span<const float> block) {
  // Without its sign a float32 orders as its bits do, and a NaN lies above infinity: an integer
  // maximum, which the compiler may reorder, does what a float32 one may not.
  constexpr std::int32_t kInfinity = 0x7f800000;
  std::int32_t largest = 0;
  for (const float x : block) {
    const std::int32_t magnitude = std::bit_cast<std::int32_t>(x) & 0x7fffffff;
    const std::int32_t number = magnitude > kInfinity ? 0 : magnitude;
    largest = number > largest ? number : largest;
  }
  return flush(std::bit_cast<float>(largest));
}

float block_reciprocal(float absmax) {
  return flush(1.0f / absmax);
}

}  // namespace qlora
