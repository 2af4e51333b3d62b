#include "training/optimizer.h"

#include <cmath>

#include "ops/device_memory.h"
#include "ops/ops.h"

namespace qlora {
namespace {

Tensor zeros_on(Device device, DType dtype, const Shape& shape) {
  Tensor t = ops::empty_on(device, dtype, shape);
  ops::fill_bytes(t, 0);
  return t;
}

Device device_of(const std::vector<Parameter>& parameters) {
  return parameters.empty() ? Device::cpu : parameters[0].value.device();
}

}  // namespace

AdamW::AdamW(std::vector<Parameter> parameters, const TrainingArguments& arguments)
    : parameters_(std::move(parameters)),
      norm_(zeros_on(device_of(parameters_), DType::f64, {1})),
      arena_(ops::arena_on(device_of(parameters_))),
      arguments_(arguments) {
  for (const Parameter& p : parameters_) {
    m_.push_back(zeros_on(p.value.device(), p.value.dtype(), p.value.shape()));
    v_.push_back(zeros_on(p.value.device(), p.value.dtype(), p.value.shape()));
    gradients_.push_back(p.grad);
    (p.value.rank() > 1 ? decayed_ : others_).push_back({p.grad, p.value, m_.back(), v_.back()});
  }
}

void AdamW::zero_gradients() const {
  for (const Tensor& gradient : gradients_) ops::fill_bytes(gradient, 0);
}

void AdamW::step(double learning_rate, double loss_scale) {
  loss_scale_ = loss_scale;
  ops::gradient_norm(gradients_, arena_, norm_);
  AdamWStep step{learning_rate,           arguments_.adam_beta1,   arguments_.adam_beta2,
                 arguments_.adam_epsilon, arguments_.weight_decay, ++t_};
  step.clip = {norm_, arguments_.max_grad_norm, loss_scale};
  ops::adamw_all(step, decayed_);
  step.weight_decay = 0.0;
  ops::adamw_all(step, others_);
}

double AdamW::gradient_norm() {
  const double norm = *ops::on(Device::cpu, norm_).data<double>() / loss_scale_;
  if (!std::isfinite(norm)) --t_;
  return norm;
}

}  // namespace qlora
