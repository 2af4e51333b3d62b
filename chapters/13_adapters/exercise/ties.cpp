// Task 2: TIES. What each function does stands in ties.h.
#include "ties.h"

#include "core/todo.h"

namespace qlora {

std::vector<double> ties_trim(std::span<const double> values, double density) {
  todo("ties_trim", "chapter 13, task 2");
}

std::vector<int> ties_elect(std::span<const std::vector<double>> updates) {
  todo("ties_elect", "chapter 13, task 2");
}

std::vector<double> ties_merge(std::span<const TiesUpdate> updates, double density) {
  todo("ties_merge", "chapter 13, task 2");
}

}  // namespace qlora
