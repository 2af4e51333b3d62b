// Task 2: AdamW. The formula stands beside ops::adamw in common/ops/ops.h, and what is to be
// written in common/ops/adamw.h.
#include "ops/adamw.h"

#include "core/todo.h"

namespace qlora {

template <typename T>
AdamWFactors<T>::AdamWFactors(const AdamWStep& step) {
  todo("AdamWFactors", "chapter 10, task 2");
}

namespace cpu {

template <typename T>
void adamw(const AdamWStep& step, std::int64_t n, const T* g, T* p, T* m, T* v) {
  todo("adamw", "chapter 10, task 2");
}

template <typename T>
double squared_norm(std::int64_t n, const T* g) {
  todo("squared_norm", "chapter 10, task 2");
}

}  // namespace cpu

// Both types of arithmetic; leave these lines as they are.
template struct AdamWFactors<float>;
template struct AdamWFactors<double>;

namespace cpu {

template void adamw<float>(const AdamWStep&, std::int64_t, const float*, float*, float*, float*);
template void adamw<double>(const AdamWStep&, std::int64_t, const double*, double*, double*,
                            double*);
template double squared_norm<float>(std::int64_t, const float*);
template double squared_norm<double>(std::int64_t, const double*);

}  // namespace cpu
}  // namespace qlora
