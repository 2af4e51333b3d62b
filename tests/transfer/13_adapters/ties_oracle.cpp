// TIES by its definition: a value stays if fewer than the wanted number stand before it in order.
#include <cmath>

#include "core/error.h"
#include "ties.h"

namespace qlora {

std::vector<double> ties_trim(std::span<const double> values, double density) {
  const auto wanted = static_cast<std::size_t>(density * static_cast<double>(values.size()));
  std::vector<double> kept(values.size(), 0.0);
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::size_t before = 0;  // values that stay rather than this one
    for (std::size_t j = 0; j < values.size(); ++j) {
      const double a = std::abs(values[j]), b = std::abs(values[i]);
      if (a > b || (a == b && j < i)) ++before;
    }
    if (before < wanted) kept[i] = values[i];
  }
  return kept;
}

std::vector<int> ties_elect(std::span<const std::vector<double>> updates) {
  std::vector<int> signs;
  for (std::size_t i = 0; i < updates.front().size(); ++i) {
    double sum = 0;
    for (const std::vector<double>& update : updates) sum += update[i];
    signs.push_back(sum >= 0 ? 1 : -1);
  }
  return signs;
}

std::vector<double> ties_merge(std::span<const TiesUpdate> updates, double density) {
  require(!updates.empty(), "ties_merge", "at least one update");
  require(density >= 0 && density <= 1, "ties_merge", "a density in 0 ... 1");
  std::vector<std::vector<double>> weighted;
  for (const TiesUpdate& update : updates) {
    require(update.values.size() == updates[0].values.size(), "ties_merge",
            "updates of one length");
    weighted.push_back(ties_trim(update.values, density));
    for (double& value : weighted.back()) value *= update.weight;
  }
  const std::vector<int> signs = ties_elect(weighted);
  std::vector<double> merged(signs.size(), 0.0);
  for (std::size_t i = 0; i < merged.size(); ++i) {
    int agreeing = 0;
    for (const std::vector<double>& update : weighted) {
      if (update[i] * signs[i] <= 0) continue;
      merged[i] += update[i];
      ++agreeing;
    }
    if (agreeing > 0) merged[i] /= agreeing;
  }
  return merged;
}

}  // namespace qlora
