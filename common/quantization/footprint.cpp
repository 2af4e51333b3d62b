#include "quantization/footprint.h"

#include "core/error.h"

namespace qlora {
namespace {

constexpr std::int64_t kBytesOfFloat = 4;

void require_block_sizes(const char* function, const BlockSizes& sizes) {
  require(sizes.blocksize >= 1 && sizes.nested_blocksize >= 1, function, "positive block sizes");
}

std::int64_t divided_up(std::int64_t n, std::int64_t by) {
  return n / by + (n % by != 0 ? 1 : 0);
}

}  // namespace

std::vector<Shape> linear_shapes(const DecoderSizes& s) {
  std::vector<Shape> shapes;
  for (std::int64_t layer = 0; layer < s.layers; ++layer) {
    shapes.insert(shapes.end(), {{s.attention, s.hidden},     // q
                                 {s.key_value, s.hidden},     // k
                                 {s.key_value, s.hidden},     // v
                                 {s.hidden, s.attention},     // o
                                 {s.intermediate, s.hidden},  // gate
                                 {s.intermediate, s.hidden},  // up
                                 {s.hidden, s.intermediate}});
  }
  return shapes;
}

std::int64_t other_parameters(const DecoderSizes& s) {
  const std::int64_t embeddings = s.tied ? 1 : 2;
  return (embeddings * s.vocabulary + 2 * s.layers + 1) * s.hidden;
}

std::int64_t total_numel(std::span<const Shape> shapes) {
  std::int64_t sum = 0;
  for (const Shape& shape : shapes) {
    if (__builtin_add_overflow(sum, numel_of(shape), &sum)) {
      throw std::overflow_error("total_numel: more elements than 64 bits count");
    }
  }
  return sum;
}

// [bytes]
FourBitBytes four_bit_bytes(std::span<const Shape> shapes, const BlockSizes& sizes) {
  require_block_sizes("four_bit_bytes", sizes);
  FourBitBytes bytes;
  bytes.weights = total_numel(shapes);
  for (const Shape& shape : shapes) {
    const std::int64_t n = numel_of(shape);
    const std::int64_t blocks = divided_up(n, sizes.blocksize);
    bytes.packed += divided_up(n, 2);
    bytes.blocks += blocks;
    if (sizes.double_quant) bytes.nested_blocks += divided_up(blocks, sizes.nested_blocksize);
  }
  bytes.absmax = bytes.blocks * (sizes.double_quant ? 1 : kBytesOfFloat);
  bytes.nested_absmax = bytes.nested_blocks * kBytesOfFloat;
  return bytes;
}
// [/bytes]

double nominal_bits_per_weight(const BlockSizes& sizes) {
  require_block_sizes("nominal_bits_per_weight", sizes);
  const auto block = static_cast<double>(sizes.blocksize);
  if (!sizes.double_quant) return 4.0 + 32.0 / block;
  return 4.0 + 8.0 / block + 32.0 / (block * static_cast<double>(sizes.nested_blocksize));
}

}  // namespace qlora
