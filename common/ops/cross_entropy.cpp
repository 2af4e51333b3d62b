#include "ops/cross_entropy.h"

#include <algorithm>
#include <cmath>

#include "core/parallel.h"
#include "core/vector_math.h"

namespace qlora::cpu {

template <typename T>
void cross_entropy(std::int64_t rows, std::int64_t V, T* logits, const std::int32_t* targets,
                   T gradient_scale, T* loss) {
  parallel_for(rows, 4, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      T* row = logits + i * V;
      T largest = row[0];
#pragma omp simd reduction(max : largest)
      for (std::int64_t v = 0; v < V; ++v) largest = std::max(largest, row[v]);
      // The largest logit is taken out first: exp must not overflow.
      for (std::int64_t v = 0; v < V; ++v) row[v] -= largest;
      const T target = row[targets[i]];
      vector_exp(V, row, row);
      T sum = 0;
#pragma omp simd reduction(+ : sum)
      for (std::int64_t v = 0; v < V; ++v) sum += row[v];
      loss[i] = std::log(sum) - target;
      if (gradient_scale == T{0}) continue;
      const T scale = gradient_scale / sum;
      for (std::int64_t v = 0; v < V; ++v) row[v] *= scale;
      row[targets[i]] -= gradient_scale;
    }
  });
}

template void cross_entropy<float>(std::int64_t, std::int64_t, float*, const std::int32_t*, float,
                                   float*);
template void cross_entropy<double>(std::int64_t, std::int64_t, double*, const std::int32_t*,
                                    double, double*);

}  // namespace qlora::cpu
