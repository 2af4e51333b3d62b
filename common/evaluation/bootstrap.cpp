#include "evaluation/bootstrap.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "core/random.h"

namespace qlora {

std::vector<std::size_t> drawn_anew(std::size_t n, std::uint64_t seed, std::uint64_t resample) {
  const Random random{seed, stream_of(kBootstrapStream, resample)};
  std::vector<std::size_t> items(n);
  for (std::size_t i = 0; i < n; ++i) items[i] = random.below(i, static_cast<std::uint32_t>(n));
  return items;
}

Interval middle_95(std::vector<double> figures) {
  require(!figures.empty(), "middle_95", "at least one figure");
  // No order holds with a NaN in it.
  if (std::ranges::any_of(figures, [](double x) { return std::isnan(x); })) {
    constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
    return {kNan, kNan};
  }
  std::ranges::sort(figures);
  const std::size_t cut = figures.size() / 40;
  return {figures[cut], figures[figures.size() - 1 - cut]};
}

// [bootstrap]
Interval bootstrap(std::size_t n, std::uint64_t seed, const Statistic& statistic) {
  require(n > 0 && n <= std::numeric_limits<std::uint32_t>::max(), "bootstrap",
          "at least one item, and fewer than 2^32");
  std::vector<double> figures(kResamples);
  for (std::uint64_t r = 0; r < kResamples; ++r) figures[r] = statistic(drawn_anew(n, seed, r));
  return middle_95(std::move(figures));
}
// [/bootstrap]

Interval bootstrap_mean(std::span<const double> values, std::uint64_t seed) {
  const auto n = static_cast<double>(values.size());
  return bootstrap(values.size(), seed, [&](std::span<const std::size_t> items) {
    double sum = 0.0;
    for (const std::size_t i : items) sum += values[i];
    return sum / n;
  });
}

Interval bootstrap_ratio(std::span<const double> sums, std::span<const double> weights,
                         std::uint64_t seed) {
  require(sums.size() == weights.size(), "bootstrap_ratio", "a weight for each sum");
  require(std::ranges::all_of(weights, [](double w) { return w > 0.0; }), "bootstrap_ratio",
          "weights above 0");
  return bootstrap(sums.size(), seed, [&](std::span<const std::size_t> items) {
    double sum = 0.0, weight = 0.0;
    for (const std::size_t i : items) {
      sum += sums[i];
      weight += weights[i];
    }
    return sum / weight;
  });
}

}  // namespace qlora
