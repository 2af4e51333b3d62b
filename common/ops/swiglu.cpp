#include "ops/swiglu.h"

#include "core/parallel.h"
#include "core/vector_math.h"

namespace qlora::cpu {

template <typename T>
void swiglu_forward(std::int64_t rows, std::int64_t F, const T* gate_up, T* y) {
  parallel_for(rows, 4, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const T* gate = gate_up + i * 2 * F;
      const T* up = gate + F;
      T* yi = y + i * F;
      vector_sigmoid(F, gate, yi);
      for (std::int64_t j = 0; j < F; ++j) yi[j] *= gate[j] * up[j];
    }
  });
}

// With σ = sigmoid(g):  silu(g) = g·σ,  silu'(g) = σ·(1 + g·(1 − σ)).
template <typename T>
void swiglu_backward(std::int64_t rows, std::int64_t F, const T* gate_up, const T* dy,
                     T* dgate_up) {
  parallel_for(rows, 4, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const T* gate = gate_up + i * 2 * F;
      const T* up = gate + F;
      T* dgate = dgate_up + i * 2 * F;
      T* dup = dgate + F;
      const T* dyi = dy + i * F;
      vector_sigmoid(F, gate, dgate);
      for (std::int64_t j = 0; j < F; ++j) {
        const T sigma = dgate[j];
        dgate[j] = dyi[j] * up[j] * sigma * (T{1} + gate[j] * (T{1} - sigma));
        dup[j] = dyi[j] * gate[j] * sigma;
      }
    }
  });
}

template void swiglu_forward<float>(std::int64_t, std::int64_t, const float*, float*);
template void swiglu_forward<double>(std::int64_t, std::int64_t, const double*, double*);
template void swiglu_backward<float>(std::int64_t, std::int64_t, const float*, const float*,
                                     float*);
template void swiglu_backward<double>(std::int64_t, std::int64_t, const double*, const double*,
                                      double*);

}  // namespace qlora::cpu
