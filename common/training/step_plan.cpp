#include "training/step_plan.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "text/batch.h"

namespace qlora {

StepPlan::StepPlan(std::span<const TokenizedExample> examples, const TrainingArguments& arguments)
    : arguments_(arguments) {
  if (examples.empty()) throw BadInput("", "training data", "has no row with a label to train on");
  for (const TokenizedExample& e : examples) {
    lengths_.push_back(static_cast<std::int64_t>(e.input_ids.size()));
  }
  const auto divided = [](std::int64_t n, std::int64_t by) { return (n + by - 1) / by; };
  batches_per_epoch_ =
      divided(static_cast<std::int64_t>(lengths_.size()), arguments.per_device_train_batch_size);
  steps_per_epoch_ = divided(batches_per_epoch_, arguments.gradient_accumulation_steps);
  total_steps_ = arguments.max_steps > 0
                     ? arguments.max_steps
                     : static_cast<std::int64_t>(std::ceil(arguments.num_train_epochs *
                                                           static_cast<double>(steps_per_epoch_)));
}

double StepPlan::epoch_after(std::int64_t steps) const {
  return static_cast<double>(steps) / static_cast<double>(steps_per_epoch_);
}

std::vector<std::vector<std::int64_t>> StepPlan::micro_batches(std::int64_t step) {
  const std::int64_t epoch = step / steps_per_epoch_;
  const std::int64_t size = arguments_.per_device_train_batch_size;
  const auto rows = static_cast<std::int64_t>(lengths_.size());
  if (epoch != epoch_) {
    // transformers: LengthGroupedSampler(train_batch_size * gradient_accumulation_steps, …)
    order_ = arguments_.group_by_length
                 ? length_grouped_order(lengths_, size * arguments_.gradient_accumulation_steps,
                                        arguments_.seed, epoch)
                 : epoch_order(rows, arguments_.seed, epoch);
    epoch_ = epoch;
  }
  const std::int64_t first = step % steps_per_epoch_ * arguments_.gradient_accumulation_steps;
  const std::int64_t last =
      std::min(batches_per_epoch_, first + arguments_.gradient_accumulation_steps);
  std::vector<std::vector<std::int64_t>> batches;
  for (std::int64_t b = first; b < last; ++b) {
    batches.emplace_back(order_.begin() + b * size,
                         order_.begin() + std::min(rows, (b + 1) * size));
  }
  return batches;
}

}  // namespace qlora
