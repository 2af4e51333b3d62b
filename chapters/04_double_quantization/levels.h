// A tensor through NF4 with other second levels than the one that bitsandbytes has.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace qlora::chapter04 {

/// How the block maxima are held.
struct SecondLevel {
  std::int64_t nested_blocksize = 256;  ///< maxima that share a scale
  bool subtract_mean = true;            ///< whether the mean is taken off before, and added after
};

/// The absmax of each block.
std::vector<float> block_maxima(std::span<const float> w, std::int64_t blocksize);

/// What the maxima come back as.
std::vector<float> restored_maxima(std::span<const float> absmax, const SecondLevel& level);

/// What the weights come back as from NF4; without a second level the maxima stay float32.
std::vector<float> through_nf4(std::span<const float> w, std::int64_t blocksize,
                               const std::optional<SecondLevel>& level);

}  // namespace qlora::chapter04
