// Which rows an optimizer step trains on: a function of the settings and the step alone, so that a
// resumed run goes on with the same rows.
#pragma once

#include <span>
#include <vector>

#include "text/examples.h"
#include "training/arguments.h"

namespace qlora {

/// The steps of a run: how many there are, and the rows of each, in an order of every epoch's own.
class StepPlan {
 public:
  /// @throws BadInput if there are no rows
  StepPlan(std::span<const TokenizedExample> examples, const TrainingArguments& arguments);

  /// Optimizer steps in an epoch; the last one may have fewer micro-batches.
  std::int64_t steps_per_epoch() const { return steps_per_epoch_; }
  /// Optimizer steps in all: max_steps, or ceil(epochs · steps per epoch).
  std::int64_t total_steps() const { return total_steps_; }
  /// Epochs passed after so many steps, as a fraction.
  double epoch_after(std::int64_t steps) const;

  /// The rows of every micro-batch of a step.
  std::vector<std::vector<std::int64_t>> micro_batches(std::int64_t step);

 private:
  std::vector<std::int64_t> lengths_;
  TrainingArguments arguments_;
  std::int64_t batches_per_epoch_ = 0;
  std::int64_t steps_per_epoch_ = 0;
  std::int64_t total_steps_ = 0;
  std::int64_t epoch_ = -1;  // whose order is held
  std::vector<std::int64_t> order_;
};

}  // namespace qlora
