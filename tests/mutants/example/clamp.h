// A small unit for the test of the mutant runner.
#pragma once

#include <vector>

namespace qlora::testing {

/// x within [low, high].
int clamped(int x, int low, int high);

/// The sum of the elements, each clamped to [low, high].
int clamped_sum(const std::vector<int>& x, int low, int high);

}  // namespace qlora::testing
