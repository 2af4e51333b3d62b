// Chapter 4, task 3: block maxima in four bits, for weights in blocks of 32.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace qlora {

/// Maxima in groups; each group lies between its smallest, `low`, and its largest maximum, in 15
/// equal steps:
///
///   low[g]  = the smallest maximum of group g
///   step[g] = (the largest - low[g]) / 15
///   code    = the whole number 0 … 15 nearest to (absmax - low[g]) / step[g]
///
/// Where all maxima of a group are equal the step is 0, and so are the codes. Two codes stand in a
/// byte, the first in the LOW half; they know nothing of groups. A half that no code needs is 0.
///
/// @param absmax     [blocks]
/// @param group      maxima in a group, at least 1, of any size; the last group may be short
/// @param packed     [(blocks+1)/2]
/// @param low, step  [ceil(blocks / group)]
void quantize_maxima4(std::span<const float> absmax, std::int64_t group,
                      std::span<std::uint8_t> packed, std::span<float> low, std::span<float> step);

/// absmax[b] = low[g] + code of b * step[g], in float32.
void restore_maxima4(std::span<const std::uint8_t> packed, std::span<const float> low,
                     std::span<const float> step, std::int64_t group, std::span<float> absmax);

/// Bits of a 4-bit weight whose maxima are held so, with low and step in float32, in a tensor
/// without short blocks and groups.
double bits_per_weight4(std::int64_t blocksize, std::int64_t group);

}  // namespace qlora
