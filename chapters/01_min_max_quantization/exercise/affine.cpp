// Chapter 1, task 1: min-max and symmetric quantization. What each function does, its edge cases
// and its errors stand in common/quantization/affine.h.
#include "quantization/affine.h"

#include "core/todo.h"

namespace qlora {

Range min_max_range(std::span<const float> /*x*/) {
  todo("min_max_range", "chapter 01, task 1");
}

template <typename Int>
AffineParams affine_params(Range /*range*/) {
  todo("affine_params", "chapter 01, task 1");
}

template <typename Int>
void quantize_affine(std::span<const float> /*x*/, AffineParams /*params*/, std::span<Int> /*q*/) {
  todo("quantize_affine", "chapter 01, task 1");
}

template <typename Int>
void dequantize_affine(std::span<const Int> /*q*/, AffineParams /*params*/,
                       std::span<float> /*x*/) {
  todo("dequantize_affine", "chapter 01, task 1");
}

float symmetric_scale(std::span<const float> /*x*/) {
  todo("symmetric_scale", "chapter 01, task 1");
}

void quantize_symmetric(std::span<const float> /*x*/, float /*scale*/,
                        std::span<std::int8_t> /*q*/) {
  todo("quantize_symmetric", "chapter 01, task 1");
}

// The integer types that the templates are made for; leave these lines as they are.
template AffineParams affine_params<std::uint8_t>(Range);
template AffineParams affine_params<std::int8_t>(Range);
template void quantize_affine<std::uint8_t>(std::span<const float>, AffineParams,
                                            std::span<std::uint8_t>);
template void quantize_affine<std::int8_t>(std::span<const float>, AffineParams,
                                           std::span<std::int8_t>);
template void dequantize_affine<std::uint8_t>(std::span<const std::uint8_t>, AffineParams,
                                              std::span<float>);
template void dequantize_affine<std::int8_t>(std::span<const std::int8_t>, AffineParams,
                                             std::span<float>);

}  // namespace qlora
