// FP4 as bitsandbytes has it: a sign bit and eight magnitudes, not the E2M1 of the OCP standard.
#pragma once

#include "quantization/codebook.h"

namespace qlora {

/// The values of the codes 0 … 15: bit 3 is the sign, and code 8 is a negative zero
/// (bitsandbytes: csrc/kernels.cu, fp4_dequantization_lut). In twelfths the magnitudes are 0, 1/16,
/// 8, 12, 4, 6, 2, 3.
inline constexpr Codebook kFp4Code{
    0.0f,  0.005208333333f,  0.66666667f,  1.0f,  0.33333333f,  0.5f,  0.16666667f,  0.25f,
    -0.0f, -0.005208333333f, -0.66666667f, -1.0f, -0.33333333f, -0.5f, -0.16666667f, -0.25f};

/// Thresholds on the magnitude, ascending. In that order the magnitude codes are 0, 1, 6, 7, 4, 5,
/// 2, 3; a value that equals a threshold gets the smaller magnitude (bitsandbytes: dQuantizeFP4).
inline constexpr std::array<float, 7> kFp4Thresholds{
    0.00260417f, 0.0859375f, 0.20833333f, 0.29166667f, 0.4166667f, 0.583333f, 0.8333333f};

/// As quantize_nf4, with FP4's thresholds on |x / absmax| and a sign bit for what is below zero
/// (bitsandbytes: csrc/kernels.cu, kQuantizeBlockwise<…, FP4>). A block of zeros gets code 0.
///
/// @param x          [n]
/// @param blocksize  even
/// @param packed     [(n+1)/2], the first element of a pair in the high nibble; where n is odd, the
///                   last low nibble is 0
/// @param absmax     [ceil(n / blocksize)]
/// @throws std::invalid_argument if the sizes do not fit together
void quantize_fp4(std::span<const float> x, std::int64_t blocksize, std::span<std::uint8_t> packed,
                  std::span<float> absmax);

/// out[i] = kFp4Code[c_i] * absmax[i / blocksize], float32 [n].
/// @throws std::invalid_argument if the sizes do not fit together
void dequantize_fp4(std::span<const std::uint8_t> packed, std::span<const float> absmax,
                    std::int64_t blocksize, std::span<float> out);

}  // namespace qlora
