// Tensors in 4-bit codes and back, with any 16 values: what NF4, FP4 and int4 have in common.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace qlora {

/// The values of the 16 codes.
using Codebook = std::array<float, 16>;

/// The two values that each byte holds: high nibble first.
using BytePairs = std::array<std::array<float, 2>, 256>;

/// The table for a codebook.
constexpr BytePairs byte_pairs(const Codebook& code) {
  BytePairs pairs{};
  for (std::size_t byte = 0; byte < pairs.size(); ++byte) {
    pairs[byte] = {code[byte >> 4], code[byte & 15]};
  }
  return pairs;
}

/// How many elements are coded at a time: a number that the compiler can unroll by.
inline constexpr std::size_t kCodedAtOnce = 64;

/// What a format adds to the blocks: codes[i] (0 … 15) of x[i] * reciprocal.
using Encoder = void (*)(std::span<const float, kCodedAtOnce> x, float reciprocal,
                         std::span<int, kCodedAtOnce> codes);

/// absmax[b] = max |x| of block b, the codes of its elements from `encode` with the reciprocal of
/// absmax[b], two codes a byte. Blocks are runs of the flat tensor, the last one may be short
/// (bitsandbytes: csrc/kernels.cu, kQuantizeBlockwise).
///
/// @param x          [n]
/// @param blocksize  even
/// @param packed     [(n+1)/2], the first element of a pair in the high nibble; where n is odd, the
///                   last low nibble is the code of a zero
/// @param absmax     [ceil(n / blocksize)]
/// @throws std::invalid_argument if the sizes do not fit together
void quantize_codebook(Encoder encode, std::span<const float> x, std::int64_t blocksize,
                       std::span<std::uint8_t> packed, std::span<float> absmax);

/// out[i] = code[c_i] * absmax[i / blocksize] in float32, subnormals flushed to zero
/// (bitsandbytes: csrc/kernels.cu, kDequantizeBlockwise).
///
/// @param pairs      byte_pairs(code); the code's smallest magnitude but zero is above 2^-8
/// @param packed     [(n+1)/2], the first element of a pair is the high nibble
/// @param absmax     [ceil(n / blocksize)]
/// @param blocksize  even
/// @param out        [n]
/// @throws std::invalid_argument if the sizes do not fit together
void dequantize_codebook(const BytePairs& pairs, std::span<const std::uint8_t> packed,
                         std::span<const float> absmax, std::int64_t blocksize,
                         std::span<float> out);

}  // namespace qlora
