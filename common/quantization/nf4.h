// NF4 (4-bit NormalFloat): 16 values out of the quantiles of the normal distribution.
#pragma once

#include <array>
#include <bit>

#include "quantization/codebook.h"

namespace qlora {

/// The values of the codes 0 … 15: 7 negative, zero, 8 positive, from -1 to 1 (QLoRA paper,
/// appendix E; bitsandbytes: csrc/kernels.cu, nf4_dequantization_lut).
inline constexpr Codebook kNf4Code{-1.0f,
                                   -0.6961928009986877f,
                                   -0.5250730514526367f,
                                   -0.39491748809814453f,
                                   -0.28444138169288635f,
                                   -0.18477343022823334f,
                                   -0.09105003625154495f,
                                   0.0f,
                                   0.07958029955625534f,
                                   0.16093020141124725f,
                                   0.24611230194568634f,
                                   0.33791524171829224f,
                                   0.44070982933044434f,
                                   0.5626170039176941f,
                                   0.7229568362236023f,
                                   1.0f};

/// Where code k ends and code k + 1 begins: a scaled value gets the number of thresholds that it is
/// above, and one that equals a threshold the lower code.
///
/// These are the float32 of the decimal literals in bitsandbytes' kernel (dQuantizeNF4), as bits
/// because four of them (0, 8, 12, 14) are one unit off the midpoint of their two values.
inline constexpr std::array<float, 15> kNf4Thresholds{
    std::bit_cast<float>(0xbf591cd9u), std::bit_cast<float>(0xbf1c5270u),
    std::bit_cast<float>(0xbeeb8480u), std::bit_cast<float>(0xbeadea76u),
    std::bit_cast<float>(0xbe703cecu), std::bit_cast<float>(0xbe0d38bcu),
    std::bit_cast<float>(0xbd3a7871u), std::bit_cast<float>(0x3d22faffu),
    std::bit_cast<float>(0x3df64863u), std::bit_cast<float>(0x3e5067e0u),
    std::bit_cast<float>(0x3e9582d4u), std::bit_cast<float>(0x3ec753f9u),
    std::bit_cast<float>(0x3f006d03u), std::bit_cast<float>(0x3f248dafu),
    std::bit_cast<float>(0x3f5c89d9u)};

/// absmax[b] = max |x| of block b; code of x = how many thresholds x * (1 / absmax[b]) is above.
/// Blocks are runs of the flat tensor, the last one may be short. A block of zeros gets code 0
/// (0 * inf is NaN, which is above nothing), as does a NaN.
/// (bitsandbytes: csrc/kernels.cu, kQuantizeBlockwise<…, NF4>.)
///
/// @param x          [n]
/// @param blocksize  even
/// @param packed     [(n+1)/2], the first element of a pair in the high nibble; where n is odd, the
///                   last low nibble is the code of a zero
/// @param absmax     [ceil(n / blocksize)]
/// @throws std::invalid_argument if the sizes do not fit together
void quantize_nf4(std::span<const float> x, std::int64_t blocksize, std::span<std::uint8_t> packed,
                  std::span<float> absmax);

/// out[i] = kNf4Code[c_i] * absmax[i / blocksize], float32 [n].
/// @throws std::invalid_argument if the sizes do not fit together
void dequantize_nf4(std::span<const std::uint8_t> packed, std::span<const float> absmax,
                    std::int64_t blocksize, std::span<float> out);

}  // namespace qlora
