// Task 5: SwiGLU, forward and backward. common/ops/ops.h has the equations.
#include "ops/swiglu.h"

#include "core/todo.h"

namespace qlora::cpu {

template <typename T>
void swiglu_forward(std::int64_t rows, std::int64_t F, const T* gate_up, T* y) {
  todo("swiglu_forward", "chapter 08, task 5");
}

template <typename T>
void swiglu_backward(std::int64_t rows, std::int64_t F, const T* gate_up, const T* dy,
                     T* dgate_up) {
  todo("swiglu_backward", "chapter 08, task 5");
}

// Both types of arithmetic; leave these lines as they are.
template void swiglu_forward<float>(std::int64_t, std::int64_t, const float*, float*);
template void swiglu_forward<double>(std::int64_t, std::int64_t, const double*, double*);
template void swiglu_backward<float>(std::int64_t, std::int64_t, const float*, const float*,
                                     float*);
template void swiglu_backward<double>(std::int64_t, std::int64_t, const double*, const double*,
                                      double*);

}  // namespace qlora::cpu
