#include "ops/adamw.h"

#include <cmath>
#include <vector>

#include "core/parallel.h"

namespace qlora {

// [factors]
template <typename T>
AdamWFactors<T>::AdamWFactors(const AdamWStep& step)
    : decay(static_cast<T>(1.0 - step.lr * step.weight_decay)),
      step_size(static_cast<T>(step.lr / (1.0 - std::pow(step.beta1, step.t)))),
      root_correction(static_cast<T>(std::sqrt(1.0 - std::pow(step.beta2, step.t)))),
      beta2(static_cast<T>(step.beta2)),
      eps(static_cast<T>(step.eps)),
      one_minus_beta1(static_cast<T>(1.0 - step.beta1)),
      one_minus_beta2(static_cast<T>(1.0 - step.beta2)) {}
// [/factors]

template struct AdamWFactors<float>;
template struct AdamWFactors<double>;

namespace cpu {

template <typename T>
void adamw(const AdamWStep& step, std::int64_t n, const T* g, T* p, T* m, T* v) {
  const AdamWFactors<T> f(step);
  const Clip& clip = step.clip;
  const T factor =
      clip.norm
          ? static_cast<T>(gradient_factor(*clip.norm.data<double>(), clip.max_norm, clip.scale))
          : T{1};
  if (factor == 0) return;
  parallel_for(n, 4096, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      // [element]
      const T gi = g[i] * factor;
      m[i] += (gi - m[i]) * f.one_minus_beta1;
      v[i] = v[i] * f.beta2 + gi * gi * f.one_minus_beta2;
      p[i] = p[i] * f.decay - f.step_size * m[i] / (std::sqrt(v[i]) / f.root_correction + f.eps);
      // [/element]
    }
  });
}

template <typename T>
double squared_norm(std::int64_t n, const T* g) {
  constexpr std::int64_t kBlock = 4096;
  const std::int64_t blocks = (n + kBlock - 1) / kBlock;
  std::vector<double> sums(static_cast<std::size_t>(blocks));
  parallel_for(blocks, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t b = begin; b < end; ++b) {
      double sum = 0;
#pragma omp simd reduction(+ : sum)
      for (std::int64_t i = b * kBlock; i < std::min(n, (b + 1) * kBlock); ++i) {
        sum += static_cast<double>(g[i]) * static_cast<double>(g[i]);
      }
      sums[static_cast<std::size_t>(b)] = sum;
    }
  });
  double total = 0;
  for (double s : sums) total += s;
  return total;
}

template void adamw<float>(const AdamWStep&, std::int64_t, const float*, float*, float*, float*);
template void adamw<double>(const AdamWStep&, std::int64_t, const double*, double*, double*,
                            double*);
template double squared_norm<float>(std::int64_t, const float*);
template double squared_norm<double>(std::int64_t, const double*);

}  // namespace cpu
}  // namespace qlora
