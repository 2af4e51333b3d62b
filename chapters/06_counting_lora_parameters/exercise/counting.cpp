// Task 1: counting the parameters of LoRA. What each function does stands in
// common/lora/counting.h.
#include "lora/counting.h"

#include "core/todo.h"

namespace qlora {

std::int64_t dense_parameters(const LinearShape& linear) {
  todo("dense_parameters", "chapter 06, task 1");
}

std::int64_t lora_parameters(const LinearShape& linear, std::int64_t R) {
  todo("lora_parameters", "chapter 06, task 1");
}

double break_even_rank(const LinearShape& linear) {
  todo("break_even_rank", "chapter 06, task 1");
}

std::vector<LinearShape> stacked(std::span<const LinearShape> layer, std::int64_t layers) {
  todo("stacked", "chapter 06, task 1");
}

std::int64_t decoder_parameters(std::span<const LinearShape> layer, std::int64_t layers,
                                std::int64_t C, std::int64_t V, bool tied) {
  todo("decoder_parameters", "chapter 06, task 1");
}

// is_target_module() (lora/target_modules.h) and r_of() (lora/config.h) are there to be called.
std::vector<AdapterShape> adapter_shapes(const LoraConfig& config,
                                         std::span<const LinearShape> linears) {
  todo("adapter_shapes", "chapter 06, task 1");
}

std::int64_t lora_parameters(std::span<const AdapterShape> adapters) {
  todo("lora_parameters", "chapter 06, task 1");
}

TrainableParameters count_trainable(std::span<const AdapterShape> adapters,
                                    std::int64_t base_parameters) {
  todo("count_trainable", "chapter 06, task 1");
}

double trainable_percentage(const TrainableParameters& count) {
  todo("trainable_percentage", "chapter 06, task 1");
}

std::string trainable_line(const TrainableParameters& count) {
  todo("trainable_line", "chapter 06, task 1");
}

}  // namespace qlora
