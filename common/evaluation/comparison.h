// Two models over the same items: what tuning changed, item by item.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "evaluation/bootstrap.h"

namespace qlora {

/// What is between two models' errors over the same items.
struct Difference {
  double value = 0.0;   ///< tuned − base: below 0 the tuned model errs less
  Interval ci95;        ///< of it, over the same items drawn for both
  double better = 0.0;  ///< share of the items on which the tuned model errs less
  double equal = 0.0;   ///< share of those on which both err by the same
};

/// The mean of tuned − base over the items. An item's difference is drawn as a whole, so that what
/// makes an item hard for both does not widen the interval.
/// @param base, tuned  an error for each item, 0 or more
/// @throws std::invalid_argument if sizes differ, or there is no item
Difference paired_difference(std::span<const double> base, std::span<const double> tuned,
                             std::uint64_t seed);

/// The same for errors that are sums: Σ (tuned − base) / Σ weights. Of losses the sums over the
/// tokens of each row, and the numbers of its tokens.
/// @throws std::invalid_argument likewise, and if a weight is not above 0
Difference paired_difference(std::span<const double> base, std::span<const double> tuned,
                             std::span<const double> weights, std::uint64_t seed);

/// Everything that is compared of two models.
struct Comparison {
  Difference loss;                ///< in nats a token
  std::optional<Difference> mae;  ///< in dollars, where there are prices
};

}  // namespace qlora
