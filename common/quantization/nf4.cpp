#include "quantization/nf4.h"

#include "quantization/flush.h"

namespace qlora {
namespace {

constexpr BytePairs kPairs = byte_pairs(kNf4Code);

// [encode]
// The code is the number of thresholds below the scaled value. The comparison is strict, so that a
// threshold itself gets the lower code, and NaN, which is above nothing, code 0.
void encode(std::span<const float, kCodedAtOnce> x, float reciprocal,
            std::span<int, kCodedAtOnce> codes) {
  for (std::size_t i = 0; i < kCodedAtOnce; ++i) {
    const float scaled = flush(x[i]) * reciprocal;
    int above = 0;
    for (const float threshold : kNf4Thresholds) above += scaled > threshold;
    codes[i] = above;
  }
}
// [/encode]

}  // namespace

void quantize_nf4(std::span<const float> x, std::int64_t blocksize, std::span<std::uint8_t> packed,
                  std::span<float> absmax) {
  quantize_codebook(encode, x, blocksize, packed, absmax);
}

void dequantize_nf4(std::span<const std::uint8_t> packed, std::span<const float> absmax,
                    std::int64_t blocksize, std::span<float> out) {
  dequantize_codebook(kPairs, packed, absmax, blocksize, out);
}

}  // namespace qlora
