// Chapter 2, task 2: LLM.int8(), a linear layer with its outliers in float16. What the functions do
// stands in common/quantization/llm_int8.h; quantize_rowwise_int8(), integer_product(), round_to()
// and matmul() are there to be called.
#include "quantization/llm_int8.h"

#include "core/todo.h"

namespace qlora {

std::vector<std::int64_t> quantize_int8_outliers(std::span<const float> /*x*/,
                                                 std::int64_t /*rows*/, std::int64_t /*columns*/,
                                                 float /*threshold*/, std::span<std::int8_t> /*q*/,
                                                 std::span<float> /*absmax*/) {
  todo("quantize_int8_outliers", "chapter 02, task 2");
}

void linear_int8(const Int8Weight& /*w*/, std::span<const float> /*x*/, std::int64_t /*T*/,
                 std::span<const float> /*bias*/, float /*threshold*/, std::span<float> /*y*/) {
  todo("linear_int8", "chapter 02, task 2");
}

void linear_int8_backward(const Int8Weight& /*w*/, std::span<const float> /*grad_y*/,
                          std::int64_t /*T*/, std::span<float> /*grad_x*/) {
  todo("linear_int8_backward", "chapter 02, task 2");
}

}  // namespace qlora
