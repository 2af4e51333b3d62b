// Formulas that are often quoted for NF4, and do not give its values.
#pragma once

#include <array>

namespace qlora {

/// Which of the two roundings of bitsandbytes' derivation are made in float32.
enum class DerivationIn { float64, float64_then_float32_division };

/// The derivation of create_normal_map() with the probabilities in float64, divided in float64 or
/// in float32. 10 or 8 of the 16 values, rounded to float32, miss the published bits.
std::array<double, 16> normal_map_in(DerivationIn arithmetic);

/// Φ⁻¹((i + 1/2) / 16) for i = 0 … 15, divided by the largest: the middles of 16 equally likely
/// intervals. Symmetric, and so without a zero.
std::array<double, 16> interval_middles();

/// q_i = (Q(i / 17) + Q((i + 1) / 17)) / 2 for i = 0 … 16, Q = Φ⁻¹: equation 4 of the QLoRA paper
/// to the letter, k = 4. The first is -inf and the last is inf.
std::array<double, 17> paper_equation_4();

}  // namespace qlora
