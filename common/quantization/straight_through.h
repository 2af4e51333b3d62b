// Quantization-aware training of a weight: quantized and restored in the forward pass, and a
// gradient that is passed straight through the rounding in the backward pass.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "core/error.h"

namespace qlora {

/// What a weight is rounded to.
enum class FakeLevels {
  integers,  ///< symmetric integers, -Q … Q with Q = 2^(bits - 1) - 1
  nf4,       ///< the 16 values of NF4 (quantization/nf4.h)
};

/// One range for each row of a weight, and one for all of it: see FakeFormat::blocksize.
inline constexpr std::int64_t kRangePerRow = 0, kRangePerTensor = -1;

/// How a weight is quantized and restored within a forward pass.
struct FakeFormat {
  FakeLevels levels = FakeLevels::integers;  ///< what the values of a block are rounded to
  int bits = 4;                              ///< of the integers, 2 to 16; NF4 has 4
  std::int64_t blocksize = 64;  ///< values that share a range, kRangePerRow or kRangePerTensor
  double clip = 1.0;            ///< range = clip · absmax; below 1 the largest values are cut off

  /// Values of a weight of n, in rows of `columns`, that share a range; the last block may be
  /// short.
  /// @throws std::invalid_argument if sizes or the format do not fit
  std::int64_t values_a_range(std::int64_t columns, std::int64_t n) const {
    require(columns >= 1 && n % columns == 0, "fake_quantize", "whole rows of a weight");
    require(blocksize >= kRangePerTensor, "fake_quantize", "a block size that is not negative");
    require(bits >= 2 && bits <= 16, "fake_quantize", "2 to 16 bits");
    require(clip > 0 && clip <= 1, "fake_quantize", "a clip above 0 and at most 1");
    if (blocksize == kRangePerRow) return columns;
    return blocksize == kRangePerTensor ? std::max<std::int64_t>(n, 1) : blocksize;
  }
};

/// w_q = dequantize(quantize(w)): each block of the flat weight is rounded to levels between -r and
/// r, r = clip · absmax of the block, and what lies outside to the outermost level (Jacob et al.
/// 2018, section 3.1). Integers: clamp(round(w / s), -Q, Q) · s with s = r / Q, ties to even. NF4:
/// r times the value that w · (1 / r) is nearest to by the thresholds of NF4. In float32, with
/// clip = 1 and numbers that are not subnormal, bit for bit what quantizing and restoring gives.
/// T is float or double. The last block may be short.
///
/// @param columns  of a row, for kRangePerRow
/// @param w        [n], n a multiple of `columns`
/// @param w_q      [n]; not w, which the backward pass needs
/// @throws std::invalid_argument if sizes or the format do not fit
template <typename T>
void fake_quantize(const FakeFormat& format, std::int64_t columns, std::span<const T> w,
                   std::span<T> w_q);

/// dw[i] += dw_q[i] where |w[i]| <= r, the range of its block; nothing where w[i] was cut off.
///
/// The derivative of rounding is 0 almost everywhere, and nothing would learn. Between -r and r it
/// is taken for 1, as if w_q were w: the straight-through estimator (Bengio et al. 2013, section
/// 4). Outside w_q really does not follow w, and a gradient would drive it out for ever (Hubara et
/// al. 2016, section 2.3). With clip = 1 nothing lies outside, and the gradient is the identity. r
/// and s are constants of the pass: nothing goes to the value that absmax was taken from. (torch:
/// fake_quantize_per_channel_affine asks whether the rounded integer is within -Q … Q, so that half
/// a step more passes; with clip = 1 there is no difference.)
///
/// @param w     [n], what the forward pass had
/// @param dw_q  [n]
/// @param dw    [n], added to
/// @throws std::invalid_argument if sizes or the format do not fit
template <typename T>
void fake_quantize_backward(const FakeFormat& format, std::int64_t columns, std::span<const T> w,
                            std::span<const T> dw_q, std::span<T> dw);

}  // namespace qlora
