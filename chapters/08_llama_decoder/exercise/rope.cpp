// Task 3: the rotation of queries and keys. common/ops/rope.h and ops.h say what is asked for.
#include "ops/rope.h"

#include "core/todo.h"

namespace qlora::cpu {

template <typename T>
void rope(std::int64_t rows, std::int64_t ld, std::int64_t heads, std::int64_t D,
          const std::int32_t* positions, const float* cos, const float* sin, T sign, T* x) {
  todo("rope", "chapter 08, task 3");
}

// Both types of arithmetic; leave these lines as they are.
template void rope<float>(std::int64_t, std::int64_t, std::int64_t, std::int64_t,
                          const std::int32_t*, const float*, const float*, float, float*);
template void rope<double>(std::int64_t, std::int64_t, std::int64_t, std::int64_t,
                           const std::int32_t*, const float*, const float*, double, double*);

}  // namespace qlora::cpu
