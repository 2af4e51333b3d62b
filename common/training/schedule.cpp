#include "training/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace qlora {

std::int64_t warmup_steps(double value, std::int64_t total) {
  if (value >= 1.0) return static_cast<std::int64_t>(value);
  return static_cast<std::int64_t>(std::ceil(static_cast<double>(total) * value));
}

double lr_factor(LrScheduler kind, std::int64_t step, std::int64_t warmup, std::int64_t total) {
  if (kind == LrScheduler::constant) return 1.0;
  const auto s = static_cast<double>(step);
  if (step < warmup) return s / static_cast<double>(std::max<std::int64_t>(1, warmup));
  if (kind == LrScheduler::constant_with_warmup) return 1.0;
  const auto span = static_cast<double>(std::max<std::int64_t>(1, total - warmup));
  if (kind == LrScheduler::linear) return std::max(0.0, static_cast<double>(total - step) / span);
  const double progress = static_cast<double>(step - warmup) / span;
  return std::max(0.0, 0.5 * (1.0 + std::cos(std::numbers::pi * 0.5 * 2.0 * progress)));
}

}  // namespace qlora
