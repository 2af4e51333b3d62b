// Task 2: which rows a step trains on. What each function does stands in training/step_plan.h;
// epoch_order and length_grouped_order are in text/batch.h.
#include "training/step_plan.h"

#include "core/error.h"
#include "core/todo.h"
#include "text/batch.h"

namespace qlora {

StepPlan::StepPlan(std::span<const TokenizedExample> examples, const TrainingArguments& arguments) {
  todo("StepPlan", "chapter 12, task 2");
}

double StepPlan::epoch_after(std::int64_t steps) const {
  todo("StepPlan::epoch_after", "chapter 12, task 2");
}

std::vector<std::vector<std::int64_t>> StepPlan::micro_batches(std::int64_t step) {
  todo("StepPlan::micro_batches", "chapter 12, task 2");
}

}  // namespace qlora
