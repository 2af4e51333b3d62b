// Float32 as bitsandbytes' CUDA build computes it: compiled with --use_fast_math, it takes
// subnormal operands and results for zero. Done here in integers and in double, so that the bits do
// not depend on the processor's own flush-to-zero switches (MXCSR), which other libraries may set.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace qlora {

/// Below it float32 is subnormal.
inline constexpr float kSmallestNormal = 0x1p-126f;

/// x, or a zero of x's sign where x is subnormal.
inline float flush(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t kept = (bits & 0x7f800000u) != 0 ? bits : bits & 0x80000000u;
  return std::bit_cast<float>(kept);
}

/// fl(a * b) with subnormal operands and products flushed. The product of two float32 is exact in
/// double, so that the comparison sees it before any rounding.
inline float flushed_product(float a, float b) {
  const double product = static_cast<double>(flush(a)) * static_cast<double>(flush(b));
  const double kept = std::abs(product) < double{kSmallestNormal} ? product * 0.0 : product;
  return static_cast<float>(kept);
}

}  // namespace qlora
