#include "training/optimizer.h"

#include <algorithm>
#include <cmath>

#include "ops/ops.h"

namespace qlora {

AdamW::AdamW(std::vector<Parameter> parameters, const TrainingArguments& arguments)
    : parameters_(std::move(parameters)), arguments_(arguments) {
  for (const Parameter& p : parameters_) {
    m_.push_back(Tensor::zeros(p.value.dtype(), p.value.shape()));
    v_.push_back(Tensor::zeros(p.value.dtype(), p.value.shape()));
  }
}

void AdamW::zero_gradients() const {
  for (const Parameter& p : parameters_) p.grad.zero();
}

double AdamW::step(double learning_rate) {
  const double norm = gradient_norm(parameters_);
  AdamWStep step{learning_rate,
                 arguments_.adam_beta1,
                 arguments_.adam_beta2,
                 arguments_.adam_epsilon,
                 0.0,
                 ++t_,
                 1.0};
  if (arguments_.max_grad_norm > 0) {
    step.gradient_factor = clip_factor(norm, arguments_.max_grad_norm);
  }
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const Parameter& p = parameters_[i];
    step.weight_decay = p.value.rank() > 1 ? arguments_.weight_decay : 0.0;
    ops::adamw(step, p.grad, p.value, m_[i], v_[i]);
  }
  return norm;
}

double clip_factor(double norm, double max_norm) {
  return std::min(1.0, max_norm / (norm + 1e-6));
}

double gradient_norm(const std::vector<Parameter>& parameters) {
  double sum = 0;
  for (const Parameter& p : parameters) sum += ops::squared_norm(p.grad);
  return std::sqrt(sum);
}

}  // namespace qlora
