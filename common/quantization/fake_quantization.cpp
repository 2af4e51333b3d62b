#include "quantization/fake_quantization.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "quantization/block_absmax.h"

namespace qlora {

void fake_quantize_absmax(std::span<const float> x, int bits, std::int64_t blocksize,
                          std::span<float> out) {
  require(bits >= 2 && bits <= 16, "fake_quantize_absmax", "2 to 16 bits");
  require(blocksize >= 1, "fake_quantize_absmax", "a block size of at least 1");
  require(x.size() == out.size(), "fake_quantize_absmax", "as many results as values");
  const auto largest = static_cast<float>((1 << (bits - 1)) - 1);
  const auto size = static_cast<std::size_t>(blocksize);
  for (std::size_t begin = 0; begin < x.size(); begin += std::min(size, x.size() - begin)) {
    const auto block = x.subspan(begin, std::min(size, x.size() - begin));
    const float scale = block_absmax(block) / largest;
    for (std::size_t i = 0; i < block.size(); ++i) {
      const float q = std::nearbyint(block[i] / scale);
      // 0 / 0 and NaN itself are no integers
      out[begin + i] = std::isnan(q) ? 0.0f : std::clamp(q, -largest, largest) * scale;
    }
  }
}

}  // namespace qlora
