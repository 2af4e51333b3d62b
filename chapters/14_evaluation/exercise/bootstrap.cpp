// Task 2: intervals by drawing the items anew. What the functions do stands in
// common/evaluation/bootstrap.h.
#include "evaluation/bootstrap.h"

#include "core/random.h"
#include "core/todo.h"

namespace qlora {

std::vector<std::size_t> drawn_anew(std::size_t n, std::uint64_t seed, std::uint64_t resample) {
  todo("drawn_anew", "chapter 14, task 2");
}

// NOLINTNEXTLINE(performance-unnecessary-value-param): by value, to be put into order
Interval middle_95(std::vector<double> figures) {
  todo("middle_95", "chapter 14, task 2");
}

Interval bootstrap(std::size_t n, std::uint64_t seed, const Statistic& statistic) {
  todo("bootstrap", "chapter 14, task 2");
}

Interval bootstrap_mean(std::span<const double> values, std::uint64_t seed) {
  todo("bootstrap_mean", "chapter 14, task 2");
}

Interval bootstrap_ratio(std::span<const double> sums, std::span<const double> weights,
                         std::uint64_t seed) {
  todo("bootstrap_ratio", "chapter 14, task 2");
}

}  // namespace qlora
