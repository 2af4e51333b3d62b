// Double quantization: the block maxima of a 4-bit tensor, quantized to 8 bits in their turn.
#pragma once

#include <cstdint>
#include <span>

namespace qlora {

/// offset = mean of the block maxima, as fl(sum) * fl(1/n), which is how torch's mean on a GPU
/// rounds; 0 where there are none. torch adds in an order of its own: its sum may be one unit in
/// the last place from this one, which is the exact sum rounded once.
float absmax_offset(std::span<const float> absmax);

/// codes, nested_absmax = blockwise8(absmax - offset)
/// (QLoRA paper, section 3; bitsandbytes: functional.quantize_4bit, compress_statistics).
///
/// @param absmax         [blocks]
/// @param nested_code    [256], the signed dynamic map
/// @param codes          [blocks]
/// @param nested_absmax  [ceil(blocks / nested_blocksize)]
/// @throws std::invalid_argument if the sizes do not fit together
void quantize_absmax(std::span<const float> absmax, float offset,
                     std::span<const float> nested_code, std::int64_t nested_blocksize,
                     std::span<std::uint8_t> codes, std::span<float> nested_absmax);

/// absmax[b] = fl(fl(nested_code[codes[b]] * nested_absmax[b / nested_blocksize]) + offset): two
/// roundings; one alone (a fused multiply-add) gives other last bits than bitsandbytes has.
/// @throws std::invalid_argument if the sizes do not fit together
void restore_absmax(std::span<const std::uint8_t> codes, std::span<const float> nested_code,
                    std::span<const float> nested_absmax, std::int64_t nested_blocksize,
                    float offset, std::span<float> absmax);

}  // namespace qlora
