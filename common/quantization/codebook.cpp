#include "quantization/codebook.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "quantization/flush.h"

namespace qlora {
namespace {

// Below this block maximum a product with a value above 2^-8 can be subnormal.
constexpr float kSmallestFast = kSmallestNormal * 0x1p8f;

void dequantize_block(const BytePairs& pairs, const std::uint8_t* packed, float absmax,
                      std::span<float> out) {
  float* y = out.data();
  const std::size_t whole_bytes = out.size() / 2;
  if (std::abs(absmax) >= kSmallestFast) {
    for (std::size_t j = 0; j < whole_bytes; ++j) {
      const auto [first, second] = pairs[packed[j]];
      y[2 * j] = first * absmax;
      y[2 * j + 1] = second * absmax;
    }
  } else {
    for (std::size_t j = 0; j < whole_bytes; ++j) {
      const auto [first, second] = pairs[packed[j]];
      y[2 * j] = flushed_product(first, absmax);
      y[2 * j + 1] = flushed_product(second, absmax);
    }
  }
  if (out.size() % 2 == 1) out.back() = flushed_product(pairs[packed[whole_bytes]][0], absmax);
}

}  // namespace

void require_4bit_sizes(const char* function, std::size_t n, std::int64_t blocksize,
                        std::size_t packed, std::size_t absmax) {
  require(blocksize >= 2 && blocksize % 2 == 0, function, "an even block size");
  const auto block = static_cast<std::size_t>(blocksize);
  require(packed == n / 2 + n % 2, function, "one byte for every two elements");
  require(absmax == n / block + (n % block != 0 ? 1 : 0), function, "one absmax a block");
}

void dequantize_codebook(const BytePairs& pairs, std::span<const std::uint8_t> packed,
                         std::span<const float> absmax, std::int64_t blocksize,
                         std::span<float> out) {
  require_4bit_sizes("dequantize_codebook", out.size(), blocksize, packed.size(), absmax.size());
  const auto block = static_cast<std::size_t>(blocksize);
  for (std::size_t b = 0; b < absmax.size(); ++b) {
    const std::size_t begin = b * block;
    const std::size_t count = std::min(block, out.size() - begin);
    dequantize_block(pairs, packed.data() + begin / 2, absmax[b], out.subspan(begin, count));
  }
}

}  // namespace qlora
