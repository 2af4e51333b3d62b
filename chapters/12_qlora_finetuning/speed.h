// How fast a run is, beside the floor of its step.
#pragma once

#include <optional>
#include <vector>

#include "core/json.h"
#include "llama/training_shape.h"
#include "training/step_profile.h"
#include "training/trainer.h"

namespace qlora {

/// Takes note of each step of a run.
class StepSpeed {
 public:
  /// @param floor      the least that a step can take, where the device's rates are known
  /// @param processes  that share a step, each as fast as that
  explicit StepSpeed(std::optional<ProfileFloor> floor, int processes = 1);

  /// The floor of a shape on the GPU that is there, or nothing.
  static std::optional<ProfileFloor> floor_of(const TrainingShape& shape);

  /// A step that was made.
  void add(const StepReport& step);

  /// "30,247 tokens/s, 78 % of the floor" of the last step; without a floor, over the run.
  std::string last(const StepReport& step) const;

  /// Median of the steps behind the first three, which warm up, and the peak of the device's
  /// memory: printed, and put into `results`, and where the steps were told part by part, a table
  /// of these. Nothing where there are fewer than five steps.
  void summarize(Device device, Json& results) const;

 private:
  void print_profile(Json& results) const;

  struct Step {
    double seconds;
    std::int64_t tokens;
  };
  std::optional<ProfileFloor> floor_;
  std::optional<double> most_;  // tokens a second at the floor
  std::vector<Step> steps_;
  StepProfile profile_;
};

}  // namespace qlora
