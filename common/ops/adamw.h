// AdamW and the gradient norm on the CPU.
#pragma once

#include <cstdint>

namespace qlora {

/// Settings of one AdamW step; the defaults are torch's, but for weight_decay.
struct AdamWStep {
  double lr = 1e-3;              ///< of this step, after the schedule
  double beta1 = 0.9;            ///< decay of the mean of gradients
  double beta2 = 0.999;          ///< decay of the mean of their squares
  double eps = 1e-8;             ///< added to the root of that mean
  double weight_decay = 0.0;     ///< decoupled: times lr, taken off the weight itself
  std::int64_t t = 1;            ///< 1 for the first step
  double gradient_factor = 1.0;  ///< gradients are multiplied by it first (clipping)
};

namespace cpu {

/// See ops::adamw.
template <typename T>
void adamw(const AdamWStep& step, std::int64_t n, const T* g, T* p, T* m, T* v);

/// Σ g², in double, in blocks whose order does not depend on the number of threads.
template <typename T>
double squared_norm(std::int64_t n, const T* g);

}  // namespace cpu
}  // namespace qlora
