// Task 3: counting in a mixture of experts. What each function does stands in experts.h.
#include "experts.h"

#include "core/todo.h"

namespace qlora {

std::int64_t experts_parameters(const ExpertsShape& shape) {
  todo("experts_parameters", "chapter 06, task 3");
}

std::int64_t experts_active_parameters(const ExpertsShape& shape) {
  todo("experts_active_parameters", "chapter 06, task 3");
}

std::int64_t experts_lora_parameters(const ExpertsShape& shape, const ExpertsTargets& targets,
                                     std::int64_t R) {
  todo("experts_lora_parameters", "chapter 06, task 3");
}

std::int64_t experts_active_lora_parameters(const ExpertsShape& shape,
                                            const ExpertsTargets& targets, std::int64_t R) {
  todo("experts_active_lora_parameters", "chapter 06, task 3");
}

}  // namespace qlora
