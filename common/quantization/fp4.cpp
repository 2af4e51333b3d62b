#include "quantization/fp4.h"

#include <algorithm>
#include <cmath>

#include "quantization/block_absmax.h"
#include "quantization/flush.h"

namespace qlora {
namespace {

constexpr std::size_t kLanes = 64;  // elements at a time, a number that the compiler can unroll by
constexpr BytePairs kPairs = byte_pairs(kFp4Code);

// The bytes of kLanes elements: no branch, so that the loops become vector instructions.
void encode(const float* x, float reciprocal, std::uint8_t* packed) {
  std::array<int, kLanes> code;
  for (std::size_t i = 0; i < kLanes; ++i) {
    const float kept = flush(x[i]);
    const float magnitude = std::abs(kept * reciprocal);
    int above = 0;
    for (const float threshold : kFp4Thresholds) above += magnitude > threshold;
    // The order of the codes by magnitude is 0, 1, 6, 7, 4, 5, 2, 3: bit 1 inverts bit 2. A
    // negative value keeps its sign down to code 8 unless the product, exact in double, is flushed
    // to zero.
    const double product = static_cast<double>(kept) * static_cast<double>(reciprocal);
    const int sign = product <= -double{kSmallestNormal} ? 8 : 0;
    code[i] = (above ^ (above & 2) << 1) | sign;
  }
  for (std::size_t j = 0; j < kLanes / 2; ++j) {
    packed[j] = static_cast<std::uint8_t>(code[2 * j] << 4 | code[2 * j + 1]);
  }
}

void quantize_block(std::span<const float> x, float reciprocal, std::uint8_t* packed) {
  std::size_t i = 0;
  for (; i + kLanes <= x.size(); i += kLanes) encode(x.data() + i, reciprocal, packed + i / 2);
  if (i == x.size()) return;
  std::array<float, kLanes> rest{};  // zeros stand for the partner that an odd tail lacks
  std::array<std::uint8_t, kLanes / 2> bytes;
  std::copy(x.begin() + static_cast<std::ptrdiff_t>(i), x.end(), rest.begin());
  encode(rest.data(), reciprocal, bytes.data());
  std::copy_n(bytes.begin(), (x.size() - i + 1) / 2, packed + i / 2);
}

}  // namespace

void quantize_fp4(std::span<const float> x, std::int64_t blocksize, std::span<std::uint8_t> packed,
                  std::span<float> absmax) {
  require_4bit_sizes("quantize_fp4", x.size(), blocksize, packed.size(), absmax.size());
  const auto size = static_cast<std::size_t>(blocksize);
  for (std::size_t b = 0; b < absmax.size(); ++b) {
    const std::size_t begin = b * size;
    const std::span<const float> block = x.subspan(begin, std::min(size, x.size() - begin));
    absmax[b] = block_absmax(block);
    quantize_block(block, block_reciprocal(absmax[b]), packed.data() + begin / 2);
  }
}

void dequantize_fp4(std::span<const std::uint8_t> packed, std::span<const float> absmax,
                    std::int64_t blocksize, std::span<float> out) {
  dequantize_codebook(kPairs, packed, absmax, blocksize, out);
}

}  // namespace qlora
