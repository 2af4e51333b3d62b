#include "quantization/codebook.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "quantization/block_absmax.h"
#include "quantization/flush.h"

namespace qlora {
namespace {

void require_sizes(const char* function, std::size_t n, std::int64_t blocksize, std::size_t packed,
                   std::size_t absmax) {
  require(blocksize >= 2 && blocksize % 2 == 0, function, "an even block size");
  const auto block = static_cast<std::size_t>(blocksize);
  require(packed == n / 2 + n % 2, function, "one byte for every two elements");
  require(absmax == n / block + (n % block != 0 ? 1 : 0), function, "one absmax a block");
}

// The bytes of kCodedAtOnce elements: no branch, so that the loop becomes vector instructions.
void encode_and_pack(Encoder encode, std::span<const float, kCodedAtOnce> x, float reciprocal,
                     std::uint8_t* packed) {
  std::array<int, kCodedAtOnce> code;
  encode(x, reciprocal, code);
  for (std::size_t j = 0; j < kCodedAtOnce / 2; ++j) {
    packed[j] = static_cast<std::uint8_t>(code[2 * j] << 4 | code[2 * j + 1]);
  }
}

void quantize_block(Encoder encode, std::span<const float> x, float reciprocal,
                    std::uint8_t* packed) {
  std::size_t i = 0;
  for (; i + kCodedAtOnce <= x.size(); i += kCodedAtOnce) {
    encode_and_pack(encode, x.subspan(i).first<kCodedAtOnce>(), reciprocal, packed + i / 2);
  }
  if (i == x.size()) return;
  std::array<float, kCodedAtOnce> rest{};  // zeros stand for the partner that an odd tail lacks
  std::array<std::uint8_t, kCodedAtOnce / 2> bytes;
  std::copy(x.begin() + static_cast<std::ptrdiff_t>(i), x.end(), rest.begin());
  encode_and_pack(encode, rest, reciprocal, bytes.data());
  std::copy_n(bytes.begin(), (x.size() - i + 1) / 2, packed + i / 2);
}

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

// [blocks]
void quantize_codebook(Encoder encode, std::span<const float> x, std::int64_t blocksize,
                       std::span<std::uint8_t> packed, std::span<float> absmax) {
  require_sizes("quantize_codebook", x.size(), blocksize, packed.size(), absmax.size());
  const auto size = static_cast<std::size_t>(blocksize);
  for (std::size_t b = 0; b < absmax.size(); ++b) {
    const std::size_t begin = b * size;
    const std::span<const float> block = x.subspan(begin, std::min(size, x.size() - begin));
    absmax[b] = block_absmax(block);
    quantize_block(encode, block, block_reciprocal(absmax[b]), packed.data() + begin / 2);
  }
}
// [/blocks]

void dequantize_codebook(const BytePairs& pairs, std::span<const std::uint8_t> packed,
                         std::span<const float> absmax, std::int64_t blocksize,
                         std::span<float> out) {
  require_sizes("dequantize_codebook", out.size(), blocksize, packed.size(), absmax.size());
  const auto block = static_cast<std::size_t>(blocksize);
  for (std::size_t b = 0; b < absmax.size(); ++b) {
    const std::size_t begin = b * block;
    const std::size_t count = std::min(block, out.size() - begin);
    dequantize_block(pairs, packed.data() + begin / 2, absmax[b], out.subspan(begin, count));
  }
}

}  // namespace qlora
