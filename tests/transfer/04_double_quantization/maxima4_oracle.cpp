// Four-bit maxima by trying every code of every maximum.
#include "maxima4.h"

#include <algorithm>

#include "slow_maxima4.h"

namespace qlora {

void quantize_maxima4(std::span<const float> absmax, std::int64_t group,
                      std::span<std::uint8_t> packed, std::span<float> low, std::span<float> step) {
  const auto size = static_cast<std::size_t>(group);
  for (std::size_t g = 0; g < low.size(); ++g) {
    const std::vector<double> maxima = slow_maxima4::group_of(absmax, g, size);
    const double smallest = *std::min_element(maxima.begin(), maxima.end());
    const double largest = *std::max_element(maxima.begin(), maxima.end());
    low[g] = static_cast<float>(smallest);
    step[g] = static_cast<float>((largest - smallest) / 15.0);
  }
  for (std::uint8_t& byte : packed) byte = 0;
  for (std::size_t b = 0; b < absmax.size(); ++b) {
    const std::size_t g = b / size;
    const int code = slow_maxima4::nearest_code(
        static_cast<double>(absmax[b]), static_cast<double>(low[g]), static_cast<double>(step[g]));
    const int shifted = b % 2 == 0 ? code : code * 16;
    packed[b / 2] = static_cast<std::uint8_t>(packed[b / 2] + shifted);
  }
}

void restore_maxima4(std::span<const std::uint8_t> packed, std::span<const float> low,
                     std::span<const float> step, std::int64_t group, std::span<float> absmax) {
  for (std::size_t b = 0; b < absmax.size(); ++b) {
    const std::size_t g = b / static_cast<std::size_t>(group);
    const int code = b % 2 == 0 ? packed[b / 2] % 16 : packed[b / 2] / 16;
    absmax[b] = low[g] + static_cast<float>(code) * step[g];
  }
}

double bits_per_weight4(std::int64_t blocksize, std::int64_t group) {
  const auto weights = static_cast<double>(blocksize * group);  // that share low and step
  const double bits = 4.0 * weights + 4.0 * static_cast<double>(group) + 2.0 * 32.0;
  return bits / weights;
}

}  // namespace qlora
