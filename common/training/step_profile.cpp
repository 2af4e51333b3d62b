#include "training/step_profile.h"

#include <algorithm>

namespace qlora {
namespace {

constexpr std::int64_t kWarmUp = 3;  // steps

// Seconds of the costs of one part, or of all; nothing where there are none.
std::optional<double> floor_of(const std::optional<ProfileFloor>& floor, double tokens,
                               std::optional<ops::Part> part) {
  if (!floor) return std::nullopt;
  double seconds = 0;
  for (const StepCost& cost : floor->costs) {
    if (!part || cost.part == *part) seconds += seconds_of(cost, floor->rates);
  }
  if (seconds == 0) return std::nullopt;
  return seconds * tokens / floor->tokens;
}

}  // namespace

void StepProfile::add(const StepReport& step) {
  if (++seen_ <= kWarmUp || step.parts.empty()) return;
  steps_ += 1;
  seconds_ += step.seconds;
  tokens_ += static_cast<double>(step.tokens);
  for (const ops::PartTime& time : step.parts) {
    const auto at = std::ranges::lower_bound(parts_, time.part, {}, &ops::PartTime::part);
    if (at != parts_.end() && at->part == time.part) {
      at->seconds += time.seconds;
    } else {
      parts_.insert(at, time);
    }
  }
}

std::vector<ProfileRow> StepProfile::rows(const std::optional<ProfileFloor>& floor) const {
  std::vector<ProfileRow> rows;
  if (steps_ == 0) return rows;
  const double tokens = tokens_ / steps_;
  double gaps = seconds_;
  for (const auto& [part, seconds] : parts_) {
    gaps -= seconds;
    rows.push_back({std::string(name_of(part)), seconds / steps_, seconds / seconds_,
                    floor_of(floor, tokens, part)});
  }
  rows.push_back({"gaps", gaps / steps_, gaps / seconds_, std::nullopt});
  rows.push_back({"step", seconds_ / steps_, 1.0, floor_of(floor, tokens, std::nullopt)});
  return rows;
}

Json to_json(const std::vector<ProfileRow>& rows) {
  Json list = Json::array();
  for (const ProfileRow& row : rows) {
    Json one = Json::object();
    one["part"] = row.name;
    one["seconds"] = row.seconds;
    one["share"] = row.share;
    if (row.floor) one["floor_seconds"] = *row.floor;
    list.push_back(std::move(one));
  }
  return list;
}

}  // namespace qlora
