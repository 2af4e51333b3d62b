// Where the time of a run's steps goes on a GPU, beside the least that each part can take.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/json.h"
#include "training/step_floor.h"
#include "training/trainer.h"

namespace qlora {

/// One line of a profile: a part's, the gaps', or the whole step's.
struct ProfileRow {
  std::string name;             ///< ops::name_of(), "gaps" or "step"
  double seconds = 0;           ///< mean of a step
  double share = 0;             ///< of the step's seconds
  std::optional<double> floor;  ///< seconds that it takes at least, where that is known
};

/// The floor of a micro-batch, by which each part is measured.
struct ProfileFloor {
  std::vector<StepCost> costs;  ///< of step_costs()
  DeviceRates rates;            ///< of the device
  double tokens = 0;            ///< that the costs are for
};

/// The mean of a run's steps.
class StepProfile {
 public:
  /// Takes note of a step's parts; the first three steps of a run warm up and do not count.
  void add(const StepReport& step);

  /// The parts in their order, then the gaps (what of the wall time no part has) and the step
  /// itself. Nothing unless a step that counts was told part by part. The floor is scaled from its
  /// own tokens to those of the mean step.
  std::vector<ProfileRow> rows(const std::optional<ProfileFloor>& floor) const;

 private:
  std::int64_t seen_ = 0;
  double steps_ = 0, seconds_ = 0, tokens_ = 0;  // sums over the steps that count
  std::vector<ops::PartTime> parts_;             // likewise
};

/// [{"part", "seconds", "share", "floor_seconds" where it is known}, …]
Json to_json(const std::vector<ProfileRow>& rows);

}  // namespace qlora
