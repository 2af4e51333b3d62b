// Chapter 3, task 3: blocks, their scales, and two codes a byte. What is promised stands in
// common/quantization/codebook.h; block_absmax() and block_reciprocal() are there for you.
#include "quantization/codebook.h"

#include "core/error.h"
#include "core/todo.h"
#include "quantization/block_absmax.h"
#include "quantization/flush.h"

namespace qlora {

void quantize_codebook(Encoder encode, std::span<const float> x, std::int64_t blocksize,
                       std::span<std::uint8_t> packed, std::span<float> absmax) {
  todo("quantize_codebook", "chapter 03, task 3");
}

void dequantize_codebook(const BytePairs& pairs, std::span<const std::uint8_t> packed,
                         std::span<const float> absmax, std::int64_t blocksize,
                         std::span<float> out) {
  todo("dequantize_codebook", "chapter 03, task 3");
}

}  // namespace qlora
