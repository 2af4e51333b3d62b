#include "ops/embedding.h"

#include <algorithm>

#include "core/parallel.h"

namespace qlora::cpu {

template <typename T>
void embedding_forward(std::int64_t tokens, std::int64_t C, const T* table, const std::int32_t* ids,
                       T* x) {
  parallel_for(tokens, 64, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) std::copy_n(table + ids[i] * C, C, x + i * C);
  });
}

template <typename T>
void embedding_backward(std::int64_t tokens, std::int64_t C, const T* dx, const std::int32_t* ids,
                        T* dtable) {
  // A token may occur twice: columns, not tokens, are spread over the threads.
  parallel_for(C, 16, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = 0; i < tokens; ++i) {
      T* row = dtable + ids[i] * C;
      for (std::int64_t j = begin; j < end; ++j) row[j] += dx[i * C + j];
    }
  });
}

template void embedding_forward<float>(std::int64_t, std::int64_t, const float*,
                                       const std::int32_t*, float*);
template void embedding_forward<double>(std::int64_t, std::int64_t, const double*,
                                        const std::int32_t*, double*);
template void embedding_backward<float>(std::int64_t, std::int64_t, const float*,
                                        const std::int32_t*, float*);
template void embedding_backward<double>(std::int64_t, std::int64_t, const double*,
                                         const std::int32_t*, double*);

}  // namespace qlora::cpu
