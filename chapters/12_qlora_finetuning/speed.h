// How fast a run is, beside the floor of its step.
#pragma once

#include <optional>
#include <vector>

#include "core/json.h"
#include "llama/training_shape.h"
#include "training/trainer.h"

namespace qlora {

/// Takes note of each step of a run.
class StepSpeed {
 public:
  /// @param floor  tokens a second that the device could do at most, where its rates are known
  explicit StepSpeed(std::optional<double> floor) : floor_(floor) {}

  /// The floor of a shape on the GPU that is there, or nothing.
  static std::optional<double> floor_of(const TrainingShape& shape);

  void add(const StepReport& step) { steps_.push_back({step.seconds, step.tokens}); }

  /// "30,247 tokens/s, 78 % of the floor" of the last step; without a floor, over the run.
  std::string last(const StepReport& step) const;

  /// Median of the steps behind the first three, which warm up, and the peak of the device's
  /// memory: printed, and put into `results`. Nothing where there are fewer than five steps.
  void summarize(Device device, Json& results) const;

 private:
  struct Step {
    double seconds;
    std::int64_t tokens;
  };
  std::optional<double> floor_;
  std::vector<Step> steps_;
};

}  // namespace qlora
