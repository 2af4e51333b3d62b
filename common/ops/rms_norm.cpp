#include "ops/rms_norm.h"

#include <cmath>

#include "core/parallel.h"

namespace qlora::cpu {

template <typename T>
void rms_norm_forward(std::int64_t rows, std::int64_t C, const T* x, const T* weight, T eps, T* y,
                      T* rstd) {
  parallel_for(rows, 16, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const T* xi = x + i * C;
      T* yi = y + i * C;
      T sum = 0;
#pragma omp simd reduction(+ : sum)
      for (std::int64_t j = 0; j < C; ++j) sum += xi[j] * xi[j];
      const T r = T{1} / std::sqrt(sum / static_cast<T>(C) + eps);  // eps stands inside the root
      for (std::int64_t j = 0; j < C; ++j) yi[j] = xi[j] * r * weight[j];
      rstd[i] = r;
    }
  });
}

// With xh = x·r and g = w·dy:  dx = r · (g − xh · mean(g·xh)),  dw = Σ_rows dy·xh.
template <typename T>
void rms_norm_backward(std::int64_t rows, std::int64_t C, const T* dy, const T* x, const T* weight,
                       const T* rstd, T* dx, T* dweight) {
  parallel_for(rows, 16, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const T* xi = x + i * C;
      const T* dyi = dy + i * C;
      T* dxi = dx + i * C;
      const T r = rstd[i];
      T dot = 0;
#pragma omp simd reduction(+ : dot)
      for (std::int64_t j = 0; j < C; ++j) dot += weight[j] * dyi[j] * xi[j];
      const T mean = dot * r / static_cast<T>(C);
      for (std::int64_t j = 0; j < C; ++j) dxi[j] += r * (weight[j] * dyi[j] - xi[j] * r * mean);
    }
  });
  if (dweight == nullptr) return;
  // Columns, not rows, are spread over the threads: each sum has one owner and one order.
  parallel_for(C, 16, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = 0; i < rows; ++i) {
      for (std::int64_t j = begin; j < end; ++j)
        dweight[j] += dy[i * C + j] * x[i * C + j] * rstd[i];
    }
  });
}

template void rms_norm_forward<float>(std::int64_t, std::int64_t, const float*, const float*, float,
                                      float*, float*);
template void rms_norm_forward<double>(std::int64_t, std::int64_t, const double*, const double*,
                                       double, double*, double*);
template void rms_norm_backward<float>(std::int64_t, std::int64_t, const float*, const float*,
                                       const float*, const float*, float*, float*);
template void rms_norm_backward<double>(std::int64_t, std::int64_t, const double*, const double*,
                                        const double*, const double*, double*, double*);

}  // namespace qlora::cpu
