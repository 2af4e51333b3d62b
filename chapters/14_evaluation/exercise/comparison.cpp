// Task 3: two models over the same items. What the functions do stands in
// common/evaluation/comparison.h.
#include "evaluation/comparison.h"

#include "core/todo.h"

namespace qlora {

Difference paired_difference(std::span<const double> base, std::span<const double> tuned,
                             std::uint64_t seed) {
  todo("paired_difference", "chapter 14, task 3");
}

Difference paired_difference(std::span<const double> base, std::span<const double> tuned,
                             std::span<const double> weights, std::uint64_t seed) {
  todo("paired_difference", "chapter 14, task 3");
}

}  // namespace qlora
