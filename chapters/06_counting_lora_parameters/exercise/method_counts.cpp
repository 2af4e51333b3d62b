// Task 2: the other methods of the GPT-3 table. What each function does stands in
// common/lora/method_counts.h.
#include "lora/method_counts.h"

#include "core/todo.h"

namespace qlora {

std::int64_t gpt_parameters(const SquareDecoder& model, std::int64_t V, std::int64_t P) {
  todo("gpt_parameters", "chapter 06, task 2");
}

std::int64_t prefix_embed_parameters(const SquareDecoder& model, std::int64_t l_p,
                                     std::int64_t l_i) {
  todo("prefix_embed_parameters", "chapter 06, task 2");
}

std::int64_t prefix_layer_parameters(const SquareDecoder& model, std::int64_t l_p,
                                     std::int64_t l_i) {
  todo("prefix_layer_parameters", "chapter 06, task 2");
}

std::int64_t adapter_h_parameters(const SquareDecoder& model, std::int64_t r,
                                  std::int64_t layer_norms) {
  todo("adapter_h_parameters", "chapter 06, task 2");
}

std::int64_t square_lora_parameters(const SquareDecoder& model, std::int64_t sum_of_ranks) {
  todo("square_lora_parameters", "chapter 06, task 2");
}

double one_matrix_parameters(double parameters, std::int64_t r) {
  todo("one_matrix_parameters", "chapter 06, task 2");
}

}  // namespace qlora
