// Task 4: the interval of a hit rate that the bootstrap cannot give. Nothing like it is in the
// tree.
#pragma once

#include <cstdint>

#include "evaluation/bootstrap.h"

namespace qlora {

/// Wilson's interval of a rate (E. B. Wilson, 1927): all rates p between 0 and 1 that the observed
/// share h = hits / n is not too far from,
///   |h − p| <= z · sqrt( p (1−p) / n ).
/// The deviation under the root is that of the rate p which is tried, not of the share h that was
/// seen. Both ends are rates at which the two sides are equal, but for 0 where nothing was hit and
/// 1 where everything was; these two are returned exactly.
/// @param z  1.96 for 95 %; above 0
/// @throws std::invalid_argument if n < 1, hits is not in 0 … n, or z is not above 0
Interval wilson(std::int64_t hits, std::int64_t n, double z);

/// How often an interval holds what it is of: the probability that wilson(H, n, z) holds `rate`,
/// ends included, where H, the hits among n items, each hit with probability `rate`, is binomial.
///   Σ over k = 0 … n of C(n,k) · rate^k · (1−rate)^(n−k), if wilson(k, n, z) holds `rate`.
/// Exact to 1e-9 for n up to 5,000, where C(n,k) alone is far beyond a double.
/// @throws std::invalid_argument as wilson() does, and if rate is not in 0 … 1
double wilson_coverage(double rate, std::int64_t n, double z);

}  // namespace qlora
