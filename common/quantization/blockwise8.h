// Block-wise 8-bit quantization with a map of 256 values: for optimizer states, and for the block
// maxima in double quantization.
#pragma once

#include <cstdint>
#include <span>

namespace qlora {

/// absmax[b] = max |x| of block b; codes[i] = index of the map's value nearest to
/// x[i] * (1 / absmax[b]); of two values equally near the one with the even index. A NaN, and every
/// element of a block of zeros, gets index 0.
/// (Dettmers et al. 2021; bitsandbytes: functional.quantize_blockwise, dQuantize in
/// csrc/kernels.cu.)
///
/// @param x       [n]
/// @param map     [256], ascending (create_dynamic_map)
/// @param codes   [n]
/// @param absmax  [ceil(n / blocksize)]
/// @throws std::invalid_argument if the sizes do not fit together
void quantize_blockwise8(std::span<const float> x, std::span<const float> map,
                         std::int64_t blocksize, std::span<std::uint8_t> codes,
                         std::span<float> absmax);

/// out[i] = map[codes[i]] * absmax[i / blocksize] in float32, subnormals flushed to zero
/// (bitsandbytes: functional.dequantize_blockwise). Shapes as above.
/// @throws std::invalid_argument if the sizes do not fit together
void dequantize_blockwise8(std::span<const std::uint8_t> codes, std::span<const float> map,
                           std::span<const float> absmax, std::int64_t blocksize,
                           std::span<float> out);

}  // namespace qlora
