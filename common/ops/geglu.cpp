#include "ops/geglu.h"

#include "core/parallel.h"
#include "core/vector_math.h"

namespace qlora::cpu {
namespace {

// With p(z) = 2·sqrt(2/π)·(z + 0.044715 z³):  ½·(1 + tanh(p/2)) = σ(p),  so that
//   gelu(z) = ½·z·(1 + tanh(p/2)) = z·σ(p)
// in one exponential, and exact to the last places where 1 + tanh cancels.
template <typename T>
constexpr T kSlope = static_cast<T>(1.5957691216057307117597842397375);  // 2·sqrt(2/π)
template <typename T>
constexpr T kCubic = static_cast<T>(0.044715);

// s (F) = σ(p(gate)).
template <typename T>
void sigmoids(std::int64_t F, const T* gate, T* s) {
  for (std::int64_t j = 0; j < F; ++j) {
    const T z = gate[j];
    s[j] = kSlope<T> * z * (T{1} + kCubic<T> * z * z);
  }
  vector_sigmoid(F, s, s);
}

}  // namespace

template <typename T>
void geglu_forward(std::int64_t rows, std::int64_t F, const T* gate_up, T* y) {
  parallel_for(rows, 4, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const T* gate = gate_up + i * 2 * F;
      const T* up = gate + F;
      T* yi = y + i * F;
      sigmoids(F, gate, yi);
      for (std::int64_t j = 0; j < F; ++j) yi[j] *= gate[j] * up[j];
    }
  });
}

// gelu'(z) = σ(p)·(1 + z·p'(z)·(1 − σ(p))),  p'(z) = 2·sqrt(2/π)·(1 + 3·0.044715 z²).
template <typename T>
void geglu_backward(std::int64_t rows, std::int64_t F, const T* gate_up, const T* dy, T* dgate_up) {
  parallel_for(rows, 4, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const T* gate = gate_up + i * 2 * F;
      const T* up = gate + F;
      T* dgate = dgate_up + i * 2 * F;
      T* dup = dgate + F;
      const T* dyi = dy + i * F;
      sigmoids(F, gate, dgate);
      for (std::int64_t j = 0; j < F; ++j) {
        const T sigma = dgate[j], z = gate[j];
        const T slope = kSlope<T> * (T{1} + 3 * kCubic<T> * z * z);
        dgate[j] = dyi[j] * up[j] * sigma * (T{1} + z * slope * (T{1} - sigma));
        dup[j] = dyi[j] * z * sigma;
      }
    }
  });
}

template void geglu_forward<float>(std::int64_t, std::int64_t, const float*, float*);
template void geglu_forward<double>(std::int64_t, std::int64_t, const double*, double*);
template void geglu_backward<float>(std::int64_t, std::int64_t, const float*, const float*, float*);
template void geglu_backward<double>(std::int64_t, std::int64_t, const double*, const double*,
                                     double*);

}  // namespace qlora::cpu
