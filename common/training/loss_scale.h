// Loss scaling: the smallest gradients of float16 arithmetic vanish unless the loss is multiplied.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/dtype.h"

namespace qlora {

/// The factor of the loss, halved after a step whose gradients overflowed (which is skipped), and
/// doubled after 2,000 that did not (torch.amp.GradScaler). Other dtypes need none: 1, unchanged.
struct LossScale {
  double value = 1.0;           ///< what the loss is multiplied by
  std::int64_t good_steps = 0;  ///< since it last changed

  /// Where a run begins.
  static LossScale of(DType arithmetic) { return {arithmetic == DType::f16 ? 65536.0 : 1.0, 0}; }

  /// Takes note of a step. @return false where it may not go on: the gradients are not finite
  /// though the loss is hardly scaled any more
  bool after_step(bool finite, DType arithmetic) {
    constexpr std::int64_t kGrowthInterval = 2000;
    if (arithmetic != DType::f16) return finite;
    if (!finite) {
      value /= 2.0;
      good_steps = 0;
      return value >= 1.0;
    }
    if (++good_steps == kGrowthInterval) {
      value *= 2.0;
      good_steps = 0;
    }
    return true;
  }
};

}  // namespace qlora
