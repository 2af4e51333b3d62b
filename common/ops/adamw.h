// AdamW and the gradient norm: what both back ends share, and the CPU's.
#pragma once

#include <cstdint>

#include "core/random.h"
#include "core/tensor.h"

namespace qlora {

/// min(1, max_norm / (norm + 1e-6)), what gradients are multiplied by (torch: clip_grad_norm_).
QLORA_HOST_DEVICE inline double clip_factor(double norm, double max_norm) {
  const double factor = max_norm / (norm + 1e-6);
  return factor < 1.0 ? factor : 1.0;
}

/// What gradients that are `scale` times too large are multiplied by: clip_factor() of what the
/// norm would be, over the scale. 0 where the norm is not finite: then a step changes nothing.
/// @param max_norm  0: nothing is clipped
QLORA_HOST_DEVICE inline double gradient_factor(double norm, double max_norm, double scale) {
  if (!(norm - norm == 0.0)) return 0.0;
  return (max_norm > 0.0 ? clip_factor(norm / scale, max_norm) : 1.0) / scale;
}

/// How gradients are clipped and scaled back: multiplied by gradient_factor() where they are used.
/// The norm stays on the device that it was made on, so that nobody has to wait for it.
struct Clip {
  Tensor norm;  ///< (1) F64, of ops::gradient_norm; empty: gradients are taken as they are
  double max_norm = 1.0;  ///< of all gradients together; 0: nothing is clipped
  double scale = 1.0;     ///< of the loss (training/loss_scale.h)
};

/// Settings of one AdamW step; the defaults are torch's, but for weight_decay.
struct AdamWStep {
  double lr = 1e-3;           ///< of this step, after the schedule
  double beta1 = 0.9;         ///< decay of the mean of gradients
  double beta2 = 0.999;       ///< decay of the mean of their squares
  double eps = 1e-8;          ///< added to the root of that mean
  double weight_decay = 0.0;  ///< decoupled: times lr, taken off the weight itself
  std::int64_t t = 1;         ///< 1 for the first step
  Clip clip = {};             ///< none, unless a norm is given
};

/// What a step reads and changes of one parameter: tensors of one size and dtype.
struct AdamWTensors {
  Tensor gradient;   ///< read
  Tensor parameter;  ///< changed, as the moments are
  Tensor m;          ///< mean of gradients
  Tensor v;          ///< mean of their squares
};

/// The numbers of a step that do not depend on the element, computed in double and rounded once
/// (torch: _single_tensor_adamw).
template <typename T>
struct AdamWFactors {
  T decay;            ///< 1 − lr·wd
  T step_size;        ///< lr / (1 − β1^t)
  T root_correction;  ///< sqrt(1 − β2^t)
  T beta2;            ///< the step's own
  T eps;              ///< likewise
  T one_minus_beta1;  ///< what a new gradient counts in m
  T one_minus_beta2;  ///< and its square in v

  /// Those of a step.
  explicit AdamWFactors(const AdamWStep& step);
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
