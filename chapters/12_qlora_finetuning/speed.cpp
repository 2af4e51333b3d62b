#include "speed.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "course/table.h"
#include "course/text.h"
#include "llama/memory_plan.h"
#include "ops/device_memory.h"
#include "training/step_floor.h"

namespace qlora {

StepSpeed::StepSpeed(std::optional<ProfileFloor> floor, int processes) : floor_(std::move(floor)) {
  if (floor_) most_ = processes * floor_->tokens / step_floor(floor_->costs, floor_->rates);
}

std::optional<ProfileFloor> StepSpeed::floor_of(const TrainingShape& shape) {
  if (shape.device == Device::cpu || !ops::has_gpu()) return std::nullopt;
  const auto rates = gpu_rates(ops::gpu_name(), shape.arithmetic);
  if (!rates) return std::nullopt;
  return ProfileFloor{step_costs(shape), *rates, static_cast<double>(shape.rows())};
}

void StepSpeed::add(const StepReport& step) {
  steps_.push_back({step.seconds, step.tokens});
  profile_.add(step);
}

std::string StepSpeed::last(const StepReport& step) const {
  if (!most_) return fmt::format("{:.0f} tokens/s", step.tokens_per_second);
  const double rate = static_cast<double>(step.tokens) / step.seconds;
  return fmt::format("{:.0f} tokens/s, {:.0f} % of the floor", rate, 100.0 * rate / *most_);
}

void StepSpeed::summarize(Device device, Json& results) const {
  constexpr std::size_t kWarmUp = 3, kLeast = 5;
  if (steps_.size() < kLeast) return;
  std::vector<Step> steps(steps_.begin() + kWarmUp, steps_.end());
  const auto middle = steps.begin() + static_cast<std::ptrdiff_t>(steps.size() / 2);
  std::nth_element(steps.begin(), middle, steps.end(), [](const Step& a, const Step& b) {
    return a.seconds / static_cast<double>(a.tokens) < b.seconds / static_cast<double>(b.tokens);
  });
  const double rate = static_cast<double>(middle->tokens) / middle->seconds;
  const std::int64_t peak = ops::peak_memory(device);
  fmt::print("median of {} steps: {:.1f} ms, {} tokens/s{}; peak memory {} ({})\n", steps.size(),
             1e3 * middle->seconds, grouped(static_cast<std::int64_t>(rate)),
             most_ ? fmt::format(", {:.1f} % of the floor of {}", 100.0 * rate / *most_,
                                 grouped(static_cast<std::int64_t>(*most_)))
                   : "",
             readable_bytes(peak), device == Device::cuda ? ops::gpu_name() : "this process");
  results["median_step_seconds"] = middle->seconds;
  results["tokens_per_second"] = rate;
  results["peak_memory_bytes"] = peak;
  if (most_) results["floor_tokens_per_second"] = *most_;
  print_profile(results);
}

void StepSpeed::print_profile(Json& results) const {
  const std::vector<ProfileRow> rows = profile_.rows(floor_);
  if (rows.empty()) return;
  Table table({"part of a step", "ms", "share", "floor, ms"}, "lrrr");
  for (const ProfileRow& row : rows) {
    if (&row == &rows.back()) table.rule();
    table.add({row.name, fmt::format("{:.1f}", 1e3 * row.seconds),
               fmt::format("{:.1f} %", 100.0 * row.share),
               row.floor ? fmt::format("{:.1f}", 1e3 * *row.floor) : ""});
  }
  fmt::print("{}", table.text());
  results["profile"] = to_json(rows);
}

}  // namespace qlora
