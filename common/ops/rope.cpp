#include "ops/rope.h"

#include "core/parallel.h"

namespace qlora::cpu {

template <typename T>
void rope(std::int64_t rows, std::int64_t ld, std::int64_t heads, std::int64_t D,
          const std::int32_t* positions, const float* cos, const float* sin, T sign, T* x) {
  const std::int64_t half = D / 2;
  parallel_for(rows, 16, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t position = positions[i];
      const float* c = cos + position * half;
      const float* s = sin + position * half;
      for (std::int64_t h = 0; h < heads; ++h) {
        T* a =
            x + i * ld + h * D;  // the pair is (j, j + D/2), not (2j, 2j+1): Hugging Face's order
        T* b = a + half;
        for (std::int64_t j = 0; j < half; ++j) {
          const T cj = static_cast<T>(c[j]), sj = sign * static_cast<T>(s[j]);
          const T aj = a[j], bj = b[j];
          a[j] = aj * cj - bj * sj;
          b[j] = bj * cj + aj * sj;
        }
      }
    }
  });
}

template void rope<float>(std::int64_t, std::int64_t, std::int64_t, std::int64_t,
                          const std::int32_t*, const float*, const float*, float, float*);
template void rope<double>(std::int64_t, std::int64_t, std::int64_t, std::int64_t,
                           const std::int32_t*, const float*, const float*, double, double*);

}  // namespace qlora::cpu
