// Task 2: TIES, updates merged without their quarrels. Nothing like it is in the tree.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace qlora {

/// One update and what it counts.
struct TiesUpdate {
  std::span<const double> values;  ///< n of them, the same in all updates
  double weight = 1.0;             ///< every value is multiplied by it, after trimming
};

/// Trim: the ⌊density · n⌋ values of the largest magnitude stay, all others become zero. Of equal
/// magnitudes the one that stands first stays.
std::vector<double> ties_trim(std::span<const double> values, double density);

/// Elect: +1 or −1 for each of the n places, the sign of the sum of the (trimmed and weighted)
/// updates there; +1 where the sum is zero.
std::vector<int> ties_elect(std::span<const std::vector<double>> updates);

/// Yadav et al., "TIES-Merging: Resolving Interference When Merging Models", arXiv 2306.01708,
/// section 4: trim each update and multiply it by its weight; elect a sign a place; at each place
/// the mean over those updates whose value there has the elected sign (a zero has none), and zero
/// where there is no such update.
/// @throws std::invalid_argument without updates, if they differ in length, or on a density outside
///         0 … 1
std::vector<double> ties_merge(std::span<const TiesUpdate> updates, double density);

}  // namespace qlora
