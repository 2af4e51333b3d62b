// Task 2: VeRA. What each function does stands in vera.h.
#include "vera.h"

#include "core/todo.h"

namespace qlora {

void vera_forward(const Vera& vera, std::int64_t tokens, const double* x, double* y) {
  todo("vera_forward", "chapter 16, task 2");
}

void vera_backward(const Vera& vera, std::int64_t tokens, const double* x, const double* dy,
                   double* dd, double* db, double* dx) {
  todo("vera_backward", "chapter 16, task 2");
}

void vera_merge(const Vera& vera, double sign, double* W) {
  todo("vera_merge", "chapter 16, task 2");
}

}  // namespace qlora
