// Chapter 4, task 2: bytes out of shapes. What is promised stands in
// common/quantization/footprint.h.
#include "quantization/footprint.h"

#include "core/error.h"
#include "core/todo.h"

namespace qlora {

std::vector<Shape> linear_shapes(const DecoderSizes& sizes) {
  todo("linear_shapes", "chapter 04, task 2");
}

std::int64_t other_parameters(const DecoderSizes& sizes) {
  todo("other_parameters", "chapter 04, task 2");
}

std::int64_t total_numel(std::span<const Shape> shapes) {
  todo("total_numel", "chapter 04, task 2");
}

FourBitBytes four_bit_bytes(std::span<const Shape> shapes, const BlockSizes& sizes) {
  todo("four_bit_bytes", "chapter 04, task 2");
}

double nominal_bits_per_weight(const BlockSizes& sizes) {
  todo("nominal_bits_per_weight", "chapter 04, task 2");
}

}  // namespace qlora
