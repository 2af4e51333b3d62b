// Plain int4 in blocks: 15 equal steps from -absmax to absmax. What NF4 is measured against.
#pragma once

#include "quantization/codebook.h"

namespace qlora {

/// Code c stands for (c - 8) / 7. Code 0, below -1, is never given, as -8 is left out of symmetric
/// integer quantization.
inline constexpr Codebook kInt4Code = [] {
  Codebook code{};
  for (std::size_t c = 0; c < code.size(); ++c) code[c] = (static_cast<float>(c) - 8.0f) / 7.0f;
  return code;
}();

/// code = 8 + round(7 x / absmax), of two codes equally near the lower one. A block of zeros gets
/// code 1, as does a NaN.
///
/// @param x          [n]
/// @param blocksize  even
/// @param packed     [(n+1)/2], the first element of a pair in the high nibble
/// @param absmax     [ceil(n / blocksize)]
/// @throws std::invalid_argument if the sizes do not fit together
void quantize_int4(std::span<const float> x, std::int64_t blocksize, std::span<std::uint8_t> packed,
                   std::span<float> absmax);

/// out[i] = kInt4Code[c_i] * absmax[i / blocksize], float32 [n].
/// @throws std::invalid_argument if the sizes do not fit together
void dequantize_int4(std::span<const std::uint8_t> packed, std::span<const float> absmax,
                     std::int64_t blocksize, std::span<float> out);

}  // namespace qlora
