// Task 2: LoRA on an embedding. What each function does stands in embedding_lora.h.
#include "embedding_lora.h"

#include "core/todo.h"

namespace qlora {

void embedding_lora_forward(const EmbeddingLora& lora, std::span<const std::int32_t> ids,
                            double* y) {
  todo("embedding_lora_forward", "chapter 05, task 2");
}

void embedding_lora_backward(const EmbeddingLora& lora, std::span<const std::int32_t> ids,
                             const double* dy, double* dA, double* dB) {
  todo("embedding_lora_backward", "chapter 05, task 2");
}

void embedding_lora_merge(const EmbeddingLora& lora, double sign, double* E) {
  todo("embedding_lora_merge", "chapter 05, task 2");
}

void embedding_lora_initialize(std::int64_t V, std::int64_t C, std::int64_t R, const Random& random,
                               double* A, double* B) {
  todo("embedding_lora_initialize", "chapter 05, task 2");
}

}  // namespace qlora
