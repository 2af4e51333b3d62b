#include "quantization/int4.h"

#include "quantization/flush.h"

namespace qlora {
namespace {

constexpr BytePairs kPairs = byte_pairs(kInt4Code);

void encode(std::span<const float, kCodedAtOnce> x, float reciprocal,
            std::span<int, kCodedAtOnce> codes) {
  for (std::size_t i = 0; i < kCodedAtOnce; ++i) {
    const float steps = 7.0f * (flush(x[i]) * reciprocal);
    int code = 1;
    for (int k = -7; k < 7; ++k) code += steps > static_cast<float>(k) + 0.5f;
    codes[i] = code;
  }
}

}  // namespace

void quantize_int4(std::span<const float> x, std::int64_t blocksize, std::span<std::uint8_t> packed,
                   std::span<float> absmax) {
  quantize_codebook(encode, x, blocksize, packed, absmax);
}

void dequantize_int4(std::span<const std::uint8_t> packed, std::span<const float> absmax,
                     std::int64_t blocksize, std::span<float> out) {
  dequantize_codebook(kPairs, packed, absmax, blocksize, out);
}

}  // namespace qlora
