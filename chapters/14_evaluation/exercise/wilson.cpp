// Task 4: Wilson's interval of a hit rate. What the functions do stands in wilson.h.
#include "wilson.h"

#include "core/todo.h"

namespace qlora {

Interval wilson(std::int64_t hits, std::int64_t n, double z) {
  todo("wilson", "chapter 14, task 4");
}

double wilson_coverage(double rate, std::int64_t n, double z) {
  todo("wilson_coverage", "chapter 14, task 4");
}

}  // namespace qlora
