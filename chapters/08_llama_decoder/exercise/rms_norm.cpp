// Task 1: RMSNorm, forward and backward. common/ops/ops.h has the equations.
#include "ops/rms_norm.h"

#include "core/todo.h"

namespace qlora::cpu {

template <typename T>
void rms_norm_forward(std::int64_t rows, std::int64_t C, const T* x, const T* weight, T eps, T* y,
                      T* rstd) {
  todo("rms_norm_forward", "chapter 08, task 1");
}

template <typename T>
void rms_norm_backward(std::int64_t rows, std::int64_t C, const T* dy, const T* x, const T* weight,
                       const T* rstd, T* dx, T* dweight) {
  todo("rms_norm_backward", "chapter 08, task 1");
}

// Both types of arithmetic; leave these lines as they are.
template void rms_norm_forward<float>(std::int64_t, std::int64_t, const float*, const float*, float,
                                      float*, float*);
template void rms_norm_forward<double>(std::int64_t, std::int64_t, const double*, const double*,
                                       double, double*, double*);
template void rms_norm_backward<float>(std::int64_t, std::int64_t, const float*, const float*,
                                       const float*, const float*, float*, float*);
template void rms_norm_backward<double>(std::int64_t, std::int64_t, const double*, const double*,
                                        const double*, const double*, double*, double*);

}  // namespace qlora::cpu
