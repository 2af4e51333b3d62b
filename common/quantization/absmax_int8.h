// Row-wise absmax int8: LLM.int8()'s vector-wise quantization, without its outliers.
#pragma once

#include <cstdint>
#include <span>

namespace qlora {

/// absmax[r] = max |x[r, k]| over the row, q[r, k] = round(x[r, k] * (127 * (1 / absmax[r]))), ties
/// to even. NaN is ignored by absmax and becomes 0, as does a row of zeros; -128 does not occur.
/// The factor rounds twice, as the GPU's fast division does: 127 / absmax would leave other ties.
///
/// Dettmers et al., "LLM.int8()" (2022), section 2.1; bitsandbytes: int8_vectorwise_quant with
/// threshold 0, whose input is float16 (absmax is SCB for a weight, SCA for activations).
///
/// @param x        [rows, columns]
/// @param q        [rows, columns]
/// @param absmax   [rows]
/// @throws std::invalid_argument if the sizes do not fit together
void quantize_rowwise_int8(std::span<const float> x, std::int64_t rows, std::int64_t columns,
                           std::span<std::int8_t> q, std::span<float> absmax);

/// x'[r, k] = q[r, k] * absmax[r] * (1 / 127), rounded after each product
/// (bitsandbytes: int8_vectorwise_dequant). Shapes as above.
/// @throws std::invalid_argument if the sizes do not fit together
void dequantize_rowwise_int8(std::span<const std::int8_t> q, std::span<const float> absmax,
                             std::int64_t rows, std::int64_t columns, std::span<float> x);

}  // namespace qlora
