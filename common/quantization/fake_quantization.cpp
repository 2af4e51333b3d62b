#include "quantization/fake_quantization.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "quantization/block_absmax.h"

namespace qlora {

template <typename T>
void fake_quantize_range(std::span<const T> x, int bits, T range, std::span<T> out) {
  require(bits >= 2 && bits <= 16, "fake_quantize_range", "2 to 16 bits");
  require(x.size() == out.size(), "fake_quantize_range", "as many results as values");
  const auto largest = static_cast<T>((1 << (bits - 1)) - 1);
  const T scale = range / largest;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const T q = std::nearbyint(x[i] / scale);
    // 0 / 0 and NaN itself are no integers
    out[i] = std::isnan(q) ? T{0} : std::clamp(q, -largest, largest) * scale;
  }
}

template void fake_quantize_range<float>(std::span<const float>, int, float, std::span<float>);
template void fake_quantize_range<double>(std::span<const double>, int, double, std::span<double>);

void fake_quantize_absmax(std::span<const float> x, int bits, std::int64_t blocksize,
                          std::span<float> out) {
  require(bits >= 2 && bits <= 16, "fake_quantize_absmax", "2 to 16 bits");
  require(blocksize >= 1, "fake_quantize_absmax", "a block size of at least 1");
  require(x.size() == out.size(), "fake_quantize_absmax", "as many results as values");
  const auto size = static_cast<std::size_t>(blocksize);
  for (std::size_t begin = 0; begin < x.size(); begin += std::min(size, x.size() - begin)) {
    const std::size_t count = std::min(size, x.size() - begin);
    const auto block = x.subspan(begin, count);
    fake_quantize_range<float>(block, bits, block_absmax(block), out.subspan(begin, count));
  }
}

}  // namespace qlora
