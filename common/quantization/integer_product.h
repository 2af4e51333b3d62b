// Products of 8-bit integers, summed in 32 bits: what makes a quantized layer fast as well as
// small.
#pragma once

#include <cstdint>
#include <span>

namespace qlora {

/// acc (T,N) = a (T,K) · w (N,K)ᵀ, exactly: Σ_k a[t,k] * w[n,k] in int32.
///
/// With a = q_x, w = q_w and scales s_x, s_w the real product is (Jacob et al. 2018, section 2.2)
///   y[t,n] = s_x s_w Σ_k (q_x[t,k] - z_x) q_w[n,k] = s_x s_w (acc[t,n] - z_x Σ_k q_w[n,k]).
///
/// Activations a: int8 or uint8. A product is at most 255 * 128, so 32 bits hold the sum of 65,536.
/// @throws std::invalid_argument if the sizes do not fit together or K is above 65,536
template <typename Int>
void integer_product(std::span<const Int> a, std::span<const std::int8_t> w, std::int64_t T,
                     std::int64_t N, std::int64_t K, std::span<std::int32_t> acc);

}  // namespace qlora
