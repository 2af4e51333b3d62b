// Task 1: adapters combined. What each function does stands in common/lora/combine.h.
#include "lora/combine.h"

#include "core/matmul.h"
#include "core/todo.h"
#include "lora/svd.h"

namespace qlora {

LoraFactors combine_linear(std::span<const WeightedLora> adapters) {
  todo("combine_linear", "chapter 13, task 1");
}

LoraFactors combine_cat(std::span<const WeightedLora> adapters) {
  todo("combine_cat", "chapter 13, task 1");
}

LoraFactors combine_svd(std::span<const WeightedLora> adapters, std::int64_t R) {
  todo("combine_svd", "chapter 13, task 1");
}

LoraFactors with_rank(const LoraFactors& factors, std::int64_t K, std::int64_t N, std::int64_t R) {
  todo("with_rank", "chapter 13, task 1");
}

}  // namespace qlora
