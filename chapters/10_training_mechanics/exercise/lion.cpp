// Task 4: Lion. What the function does stands in lion.h.
#include "lion.h"

#include "core/todo.h"

namespace qlora {

void lion(const LionSettings& settings, std::int64_t steps, std::int64_t n, const double* gradients,
          double* p, double* m) {
  todo("lion", "chapter 10, task 4");
}

}  // namespace qlora
