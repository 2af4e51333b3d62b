#include "speed.h"

#include <fmt/format.h>

#include <algorithm>

#include "course/text.h"
#include "llama/memory_plan.h"
#include "ops/device_memory.h"
#include "training/step_floor.h"

namespace qlora {

std::optional<double> StepSpeed::floor_of(const TrainingShape& shape) {
  if (shape.device == Device::cpu || !ops::has_gpu()) return std::nullopt;
  const auto rates = gpu_rates(ops::gpu_name(), shape.arithmetic);
  if (!rates) return std::nullopt;
  return static_cast<double>(shape.rows()) / step_floor(step_costs(shape), *rates);
}

std::string StepSpeed::last(const StepReport& step) const {
  if (!floor_) return fmt::format("{:.0f} tokens/s", step.tokens_per_second);
  const double rate = static_cast<double>(step.tokens) / step.seconds;
  return fmt::format("{:.0f} tokens/s, {:.0f} % of the floor", rate, 100.0 * rate / *floor_);
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
             floor_ ? fmt::format(", {:.1f} % of the floor of {}", 100.0 * rate / *floor_,
                                  grouped(static_cast<std::int64_t>(*floor_)))
                    : "",
             readable_bytes(peak), device == Device::cuda ? ops::gpu_name() : "this process");
  results["median_step_seconds"] = middle->seconds;
  results["tokens_per_second"] = rate;
  results["peak_memory_bytes"] = peak;
  if (floor_) results["floor_tokens_per_second"] = *floor_;
}

}  // namespace qlora
