#include "comparison.h"

#include "quantization/blockwise8.h"
#include "quantization/fp4.h"
#include "quantization/int4.h"
#include "quantization/nf4.h"
#include "support/weights.h"

namespace qlora::chapter03 {
namespace {

using Floats = std::vector<float>;
using Bytes = std::vector<std::uint8_t>;

std::size_t blocks_of(std::size_t n, std::int64_t blocksize) {
  const auto size = static_cast<std::size_t>(blocksize);
  return (n + size - 1) / size;
}

template <auto quantize, auto dequantize>
void through_4bit(std::span<const float> x, std::int64_t blocksize, std::span<float> y) {
  Bytes packed((x.size() + 1) / 2);
  Floats absmax(blocks_of(x.size(), blocksize));
  quantize(x, blocksize, packed, absmax);
  dequantize(packed, absmax, blocksize, y);
}

// Linear int8 is block-wise 8-bit with a map of equal steps; its first value is never used.
void through_int8(std::span<const float> x, std::int64_t blocksize, std::span<float> y) {
  Floats map(256);
  for (std::size_t i = 0; i < map.size(); ++i) map[i] = (static_cast<float>(i) - 128.0f) / 127.0f;
  Bytes codes(x.size());
  Floats absmax(blocks_of(x.size(), blocksize));
  quantize_blockwise8(x, map, blocksize, codes, absmax);
  dequantize_blockwise8(codes, map, absmax, blocksize, y);
}

}  // namespace

const std::vector<Format>& formats() {
  static const std::vector<Format> all{{"int8", 8, through_int8},
                                       {"int4", 4, through_4bit<quantize_int4, dequantize_int4>},
                                       {"FP4", 4, through_4bit<quantize_fp4, dequantize_fp4>},
                                       {"NF4", 4, through_4bit<quantize_nf4, dequantize_nf4>}};
  return all;
}

double error_of(const Format& format, std::span<const float> x, std::int64_t blocksize) {
  Floats y(x.size());
  format.restore(x, blocksize, y);
  return relative_error(x, y);
}

std::vector<std::uint8_t> nf4_codes(std::span<const float> x, std::int64_t blocksize) {
  Bytes packed((x.size() + 1) / 2);
  Floats absmax(blocks_of(x.size(), blocksize));
  quantize_nf4(x, blocksize, packed, absmax);
  Bytes codes(x.size());
  for (std::size_t i = 0; i < codes.size(); ++i) {
    codes[i] = i % 2 == 0 ? packed[i / 2] >> 4 : packed[i / 2] & 15;
  }
  return codes;
}

}  // namespace qlora::chapter03
