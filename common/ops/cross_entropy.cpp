#include "ops/cross_entropy.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/error.h"
#include "core/parallel.h"
#include "core/vector_math.h"
#include "text/examples.h"

namespace qlora {

// [shift]
Tensor shifted_targets(const Tensor& labels) {
  const std::int64_t B = labels.dim(0), T = labels.dim(1);
  Tensor targets = Tensor::empty(DType::i32, {B * T});
  const std::int32_t* from = labels.data<std::int32_t>();
  std::int32_t* to = targets.data<std::int32_t>();
  for (std::int64_t i = 0; i < B * T; ++i) to[i] = (i + 1) % T == 0 ? kIgnoredLabel : from[i + 1];
  return targets;
}
// [/shift]

namespace ops {

Supervised supervised(const Tensor& targets, std::int64_t V) {
  std::vector<std::int32_t> rows, wanted;
  for (std::int64_t i = 0; i < targets.numel(); ++i) {
    const std::int32_t target = targets.data<std::int32_t>()[i];
    if (target == kIgnoredLabel) continue;
    require(target >= 0 && target < V, "supervised", "targets of -100 or below V");
    rows.push_back(static_cast<std::int32_t>(i));
    wanted.push_back(target);
  }
  const auto n = static_cast<std::int64_t>(rows.size());
  return {Tensor::from<std::int32_t>(rows, {n}), Tensor::from<std::int32_t>(wanted, {n})};
}

}  // namespace ops

namespace cpu {

template <typename T>
void cross_entropy(std::int64_t rows, std::int64_t V, T* logits, const std::int32_t* targets,
                   T gradient_scale, T* loss) {
  parallel_for(rows, 4, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      // [row]
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
      // [/row]
    }
  });
}

template void cross_entropy<float>(std::int64_t, std::int64_t, float*, const std::int32_t*, float,
                                   float*);
template void cross_entropy<double>(std::int64_t, std::int64_t, double*, const std::int32_t*,
                                    double, double*);

}  // namespace cpu
}  // namespace qlora
