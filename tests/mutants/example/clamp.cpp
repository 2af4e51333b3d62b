#include "mutants/example/clamp.h"

#include <cstddef>

namespace qlora::testing {

int clamped(int x, int low, int high) {
  if (x < low) return low;
  if (x > high) return high;
  return x;
}

int clamped_sum(const std::vector<int>& x, int low, int high) {
  int sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) sum += clamped(x[i], low, high);
  return sum;
}

}  // namespace qlora::testing
