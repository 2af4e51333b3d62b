// Chapter 3, task 4: NF3, three bits a weight.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace qlora {

/// The 8 values of NF3, made as NF4's 16 are: 4 positive quantiles of the normal distribution at
/// equal steps of probability from `offset` down to 1/2, 1/2 left out; 3 negative ones likewise;
/// and zero. Ascending, over the largest. No bit is prescribed: they are right to 2e-7.
/// @param offset  in (1/2, 1)
std::array<float, 8> create_nf3_map(double offset);

/// Bytes of n codes.
std::size_t nf3_bytes(std::size_t n);

/// absmax[b] = max |x| of block b; the code of x is that of the map's value nearest to x over its
/// absmax. A block of zeros restores to zeros.
///
/// Codes stand one behind the other without a gap, three bits each, the highest first, from the
/// highest bit of the first byte on; bits behind the last code are 0. So 8 codes take 3 bytes.
///
/// @param x          [n]
/// @param map        create_nf3_map()
/// @param blocksize  at least 1, of any size; the last block may be short
/// @param packed     [nf3_bytes(n)]
/// @param absmax     [ceil(n / blocksize)]
void quantize_nf3(std::span<const float> x, std::span<const float, 8> map, std::int64_t blocksize,
                  std::span<std::uint8_t> packed, std::span<float> absmax);

/// out[i] = map[code of i] * absmax[i / blocksize], float32 [n].
void dequantize_nf3(std::span<const std::uint8_t> packed, std::span<const float, 8> map,
                    std::span<const float> absmax, std::int64_t blocksize, std::span<float> out);

}  // namespace qlora
