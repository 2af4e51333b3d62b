// Task 1: bytes from shapes. What each function does stands in common/quantization/footprint.h.
#include "quantization/footprint.h"

#include "core/todo.h"

namespace qlora {

std::vector<Shape> linear_shapes(const DecoderSizes& sizes) {
  todo("linear_shapes", "chapter 09, task 1");
}

std::int64_t other_parameters(const DecoderSizes& sizes) {
  todo("other_parameters", "chapter 09, task 1");
}

std::int64_t total_numel(std::span<const Shape> shapes) {
  todo("total_numel", "chapter 09, task 1");
}

FourBitBytes four_bit_bytes(std::span<const Shape> shapes, const BlockSizes& sizes) {
  todo("four_bit_bytes", "chapter 09, task 1");
}

double nominal_bits_per_weight(const BlockSizes& sizes) {
  todo("nominal_bits_per_weight", "chapter 09, task 1");
}

}  // namespace qlora
