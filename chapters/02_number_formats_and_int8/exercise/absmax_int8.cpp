// Chapter 2, task 1: row-wise absmax int8. What the functions do stands in
// common/quantization/absmax_int8.h; block_absmax() and block_reciprocal() are there to be called.
#include "quantization/absmax_int8.h"

#include "core/todo.h"

namespace qlora {

void quantize_rowwise_int8(std::span<const float> /*x*/, std::int64_t /*rows*/,
                           std::int64_t /*columns*/, std::span<std::int8_t> /*q*/,
                           std::span<float> /*absmax*/) {
  todo("quantize_rowwise_int8", "chapter 02, task 1");
}

void dequantize_rowwise_int8(std::span<const std::int8_t> /*q*/, std::span<const float> /*absmax*/,
                             std::int64_t /*rows*/, std::int64_t /*columns*/,
                             std::span<float> /*x*/) {
  todo("dequantize_rowwise_int8", "chapter 02, task 1");
}

}  // namespace qlora
