#include "ops/embedding.h"

#include "core/parallel.h"

namespace qlora::cpu {

template <typename T>
void embedding_forward(std::int64_t tokens, std::int64_t C, const T* table, const std::int32_t* ids,
                       T scale, T* x) {
  parallel_for(tokens, 64, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const T* row = table + ids[i] * C;
      for (std::int64_t j = 0; j < C; ++j) x[i * C + j] = scale * row[j];
    }
  });
}

template <typename T>
void embedding_backward(std::int64_t tokens, std::int64_t C, const T* dx, const std::int32_t* ids,
                        T scale, T* dtable) {
  // A token may occur twice: columns, not tokens, are spread over the threads.
  parallel_for(C, 16, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = 0; i < tokens; ++i) {
      T* row = dtable + ids[i] * C;
      for (std::int64_t j = begin; j < end; ++j) row[j] += scale * dx[i * C + j];
    }
  });
}

template void embedding_forward<float>(std::int64_t, std::int64_t, const float*,
                                       const std::int32_t*, float, float*);
template void embedding_forward<double>(std::int64_t, std::int64_t, const double*,
                                        const std::int32_t*, double, double*);
template void embedding_backward<float>(std::int64_t, std::int64_t, const float*,
                                        const std::int32_t*, float, float*);
template void embedding_backward<double>(std::int64_t, std::int64_t, const double*,
                                         const std::int32_t*, double, double*);

}  // namespace qlora::cpu
