#include "quantization/fp4.h"

#include <cmath>

#include "quantization/flush.h"

namespace qlora {
namespace {

constexpr BytePairs kPairs = byte_pairs(kFp4Code);

void encode(std::span<const float, kCodedAtOnce> x, float reciprocal,
            std::span<int, kCodedAtOnce> codes) {
  for (std::size_t i = 0; i < kCodedAtOnce; ++i) {
    const float kept = flush(x[i]);
    const float magnitude = std::abs(kept * reciprocal);
    int above = 0;
    for (const float threshold : kFp4Thresholds) above += magnitude > threshold;
    // The order of the codes by magnitude is 0, 1, 6, 7, 4, 5, 2, 3: bit 1 inverts bit 2. A
    // negative value keeps its sign down to code 8 unless the product, exact in double, is flushed
    // to zero.
    const double product = static_cast<double>(kept) * static_cast<double>(reciprocal);
    const int sign = product <= -double{kSmallestNormal} ? 8 : 0;
    codes[i] = (above ^ (above & 2) << 1) | sign;
  }
}

}  // namespace

void quantize_fp4(std::span<const float> x, std::int64_t blocksize, std::span<std::uint8_t> packed,
                  std::span<float> absmax) {
  quantize_codebook(encode, x, blocksize, packed, absmax);
}

void dequantize_fp4(std::span<const std::uint8_t> packed, std::span<const float> absmax,
                    std::int64_t blocksize, std::span<float> out) {
  dequantize_codebook(kPairs, packed, absmax, blocksize, out);
}

}  // namespace qlora
