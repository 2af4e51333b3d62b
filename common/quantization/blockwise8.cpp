#include "quantization/blockwise8.h"

#include <algorithm>
#include <array>

#include "core/error.h"
#include "quantization/block_absmax.h"
#include "quantization/flush.h"

namespace qlora {
namespace {

void require_sizes(const char* function, std::size_t n, std::size_t codes, std::size_t map,
                   std::int64_t blocksize, std::size_t absmax) {
  require(blocksize >= 1, function, "a block size of at least 1");
  require(map == 256, function, "a map of 256 values");
  require(codes == n, function, "one code an element");
  const auto block = static_cast<std::size_t>(blocksize);
  require(absmax == n / block + (n % block != 0 ? 1 : 0), function, "one absmax a block");
}

constexpr std::size_t kLanes = 16;  // searches side by side: each by itself waits for its loads

// Indices of the values nearest to x * reciprocal. Seven halvings from 127 end on an even index
// with x between its value and that of an odd neighbor, which is taken only where x is strictly
// nearer.
void encode(const float* map, const float* x, float reciprocal, std::uint8_t* codes) {
  std::array<float, kLanes> scaled;
  std::array<int, kLanes> pivot;
  std::array<int, kLanes> lower{};
  std::array<int, kLanes> upper;
  for (std::size_t i = 0; i < kLanes; ++i) scaled[i] = flush(x[i]) * reciprocal;
  pivot.fill(127);
  upper.fill(255);
  for (int step = 64; step > 0; step /= 2) {
    for (std::size_t i = 0; i < kLanes; ++i) {
      const bool above = scaled[i] > map[pivot[i]];
      lower[i] = above ? pivot[i] : lower[i];
      upper[i] = above ? upper[i] : pivot[i];
      pivot[i] += above ? step : -step;
    }
  }
  for (std::size_t i = 0; i < kLanes; ++i) {
    const float value = map[pivot[i]];
    const bool above = scaled[i] > value;
    const int neighbor = above ? upper[i] : lower[i];
    const float midpoint = (map[neighbor] + value) * 0.5f;
    const bool nearer = above ? scaled[i] > midpoint : scaled[i] < midpoint;
    codes[i] = static_cast<std::uint8_t>(nearer ? neighbor : pivot[i]);
  }
}

void encode_block(const float* map, std::span<const float> x, float reciprocal,
                  std::uint8_t* codes) {
  std::size_t i = 0;
  for (; i + kLanes <= x.size(); i += kLanes) encode(map, x.data() + i, reciprocal, codes + i);
  if (i == x.size()) return;
  std::array<float, kLanes> rest{};
  std::array<std::uint8_t, kLanes> rest_codes;
  std::copy(x.begin() + static_cast<std::ptrdiff_t>(i), x.end(), rest.begin());
  encode(map, rest.data(), reciprocal, rest_codes.data());
  std::copy_n(rest_codes.begin(), x.size() - i, codes + i);
}

}  // namespace

void quantize_blockwise8(std::span<const float> x, std::span<const float> map,
                         std::int64_t blocksize, std::span<std::uint8_t> codes,
                         std::span<float> absmax) {
  require_sizes("quantize_blockwise8", x.size(), codes.size(), map.size(), blocksize,
                absmax.size());
  const auto size = static_cast<std::size_t>(blocksize);
  for (std::size_t b = 0; b < absmax.size(); ++b) {
    const std::size_t begin = b * size;
    const std::span<const float> block = x.subspan(begin, std::min(size, x.size() - begin));
    absmax[b] = block_absmax(block);
    encode_block(map.data(), block, block_reciprocal(absmax[b]), codes.data() + begin);
  }
}

void dequantize_blockwise8(std::span<const std::uint8_t> codes, std::span<const float> map,
                           std::span<const float> absmax, std::int64_t blocksize,
                           std::span<float> out) {
  require_sizes("dequantize_blockwise8", out.size(), codes.size(), map.size(), blocksize,
                absmax.size());
  const auto size = static_cast<std::size_t>(blocksize);
  for (std::size_t b = 0; b < absmax.size(); ++b) {
    const std::size_t end = std::min((b + 1) * size, out.size());
    for (std::size_t i = b * size; i < end; ++i) {
      out[i] = flushed_product(map[codes[i]], absmax[b]);
    }
  }
}

}  // namespace qlora
