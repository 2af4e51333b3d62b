// LLM.int8(): a linear layer in 8-bit integers, with the few columns of activations that are too
// large for that in 16-bit floating point (bitsandbytes: Linear8bitLt).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace qlora {

/// transformers' llm_int8_threshold; bitsandbytes' own default is 0, no outliers.
inline constexpr float kOutlierThreshold = 6.0f;

/// Row-wise int8 with outliers set aside. An element with |x| >= threshold is an outlier, and so is
/// its column. absmax[r] is that of the row's other elements; in q outliers are 0, and where there
/// is more than one row all of their columns are. With threshold 0 nothing is an outlier, and this
/// is quantize_rowwise_int8().
///
/// Dettmers et al., "LLM.int8()" (2022), section 3; bitsandbytes: int8_vectorwise_quant, whose
/// input is float16.
///
/// @param x       [rows, columns]
/// @param q       [rows, columns]
/// @param absmax  [rows]
/// @return the outlier columns, ascending
/// @throws std::invalid_argument if the sizes do not fit together or the threshold is negative
std::vector<std::int64_t> quantize_int8_outliers(std::span<const float> x, std::int64_t rows,
                                                 std::int64_t columns, float threshold,
                                                 std::span<std::int8_t> q, std::span<float> absmax);

/// A frozen weight (N,K) as Linear8bitLt stores it: quantize_rowwise_int8() of the float16 weight.
struct Int8Weight {
  std::span<const std::int8_t> codes;  ///< [N, K], "weight"
  std::span<const float> absmax;       ///< [N], "SCB"
  std::int64_t N = 0;                  ///< out_features
  std::int64_t K = 0;                  ///< in_features
};

/// y (T,N) = x (T,K) · Wᵀ + b. With q, a and C from quantize_int8_outliers of x in float16, and
/// W' = codes * absmax / 127 in float16:
///
///   y[t,n] = a[t] * w.absmax[n] / 127² * Σ_k q[t,k] w.codes[n,k] + b[n]   (the sum in int32)
///          + Σ_{k in C} x[t,k] W'[n,k],
///
/// rounded to float16 after each line (bitsandbytes: MatMul8bitLt.forward, int8_mixed_scaled_mm).
///
/// @param x     [T, K], rounded to float16 first
/// @param bias  [N], or empty
/// @param y     [T, N], float32 that float16 can hold
/// @throws std::invalid_argument if the sizes do not fit together
void linear_int8(const Int8Weight& w, std::span<const float> x, std::int64_t T,
                 std::span<const float> bias, float threshold, std::span<float> y);

/// grad_x (T,K) = grad_y (T,N) · W' in float32, rounded to float16: the rounding of x counts as if
/// it were not there. The weight is frozen (bitsandbytes: MatMul8bitLt.backward).
/// @throws std::invalid_argument if the sizes do not fit together
void linear_int8_backward(const Int8Weight& w, std::span<const float> grad_y, std::int64_t T,
                          std::span<float> grad_x);

}  // namespace qlora
