// Chapter 4, task 1: the block maxima, quantized in their turn. What is promised stands in
// common/quantization/double_quantization.h; quantize_blockwise8() and its inverse are there.
#include "quantization/double_quantization.h"

#include "core/todo.h"
#include "quantization/blockwise8.h"
#include "quantization/flush.h"

namespace qlora {

float absmax_offset(std::span<const float> absmax) {
  todo("absmax_offset", "chapter 04, task 1");
}

void quantize_absmax(std::span<const float> absmax, float offset,
                     std::span<const float> nested_code, std::int64_t nested_blocksize,
                     std::span<std::uint8_t> codes, std::span<float> nested_absmax) {
  todo("quantize_absmax", "chapter 04, task 1");
}

void restore_absmax(std::span<const std::uint8_t> codes, std::span<const float> nested_code,
                    std::span<const float> nested_absmax, std::int64_t nested_blocksize,
                    float offset, std::span<float> absmax) {
  todo("restore_absmax", "chapter 04, task 1");
}

}  // namespace qlora
