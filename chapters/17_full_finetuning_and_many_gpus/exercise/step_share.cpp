// Task 1: who computes what of a step. What each function does stands in
// common/training/step_share.h.
#include "training/step_share.h"

#include "core/todo.h"

namespace qlora {

std::vector<std::int64_t> turns_of(std::int64_t count, std::int64_t rank, std::int64_t processes) {
  todo("turns_of", "chapter 17, task 1");
}

std::int64_t supervised_labels(const TokenizedExample& row) {
  todo("supervised_labels", "chapter 17, task 1");
}

StepShare share_of_step(std::span<const TokenizedExample> examples,
                        std::span<const std::vector<std::int64_t>> micro_batches, std::int64_t rank,
                        std::int64_t processes) {
  todo("share_of_step", "chapter 17, task 1");
}

double gradient_scale(const StepShare& share, double loss_scale) {
  todo("gradient_scale", "chapter 17, task 1");
}

}  // namespace qlora
