#include "evaluation/comparison.h"

#include <numeric>
#include <vector>

#include "core/error.h"

namespace qlora {

Difference paired_difference(std::span<const double> base, std::span<const double> tuned,
                             std::uint64_t seed) {
  return paired_difference(base, tuned, std::vector<double>(base.size(), 1.0), seed);
}

// [paired]
Difference paired_difference(std::span<const double> base, std::span<const double> tuned,
                             std::span<const double> weights, std::uint64_t seed) {
  const std::size_t n = base.size();
  require(n > 0 && tuned.size() == n && weights.size() == n, "paired_difference",
          "two errors and a weight for each item, at least one item");
  std::vector<double> change(n);
  Difference d;
  for (std::size_t i = 0; i < n; ++i) {
    change[i] = tuned[i] - base[i];
    d.better += tuned[i] < base[i] ? 1.0 : 0.0;
    d.equal += tuned[i] == base[i] ? 1.0 : 0.0;
  }
  d.better /= static_cast<double>(n);
  d.equal /= static_cast<double>(n);
  d.value = std::accumulate(change.begin(), change.end(), 0.0) /
            std::accumulate(weights.begin(), weights.end(), 0.0);
  d.ci95 = bootstrap_ratio(change, weights, seed);
  return d;
}
// [/paired]

}  // namespace qlora
