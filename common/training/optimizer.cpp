#include "training/optimizer.h"

#include <cmath>

#include "ops/device_memory.h"
#include "ops/ops.h"
#include "quantization/dynamic_map.h"

namespace qlora {
namespace {

Device device_of(const std::vector<Parameter>& parameters) {
  return parameters.empty() ? Device::cpu : parameters[0].value.device();
}

Tensor map_on(Device device, bool is_signed) {
  const DynamicMap map = create_dynamic_map(is_signed);
  return ops::on(device, Tensor::from<float>(map, {256}));
}

}  // namespace

AdamW::AdamW(const std::vector<Parameter>& parameters, const TrainingArguments& arguments)
    : norm_(ops::empty_on(device_of(parameters), DType::f64, {1})),
      arena_(ops::arena_on(device_of(parameters))),
      arguments_(arguments) {
  const bool in_8bit = arguments.optim == Optim::adamw_8bit;
  if (in_8bit) {
    signed_map_ = map_on(device_of(parameters), true);
    unsigned_map_ = map_on(device_of(parameters), false);
  }
  for (const Parameter& p : parameters) {
    gradients_.push_back(p.grad);
    state_.emplace_back(p.name, p.value);
    if (in_8bit && has_8bit_moments(p.value.numel())) {
      add_8bit(p);
    } else {
      add(p);
    }
  }
}

void AdamW::add(const Parameter& p) {
  const auto moment = [&](const char* kind) {
    return stated(p.name + kind, p.value.dtype(), p.value.shape(), p.value.device());
  };
  const AdamWTensors tensors{p.grad, p.value, moment(".exp_avg"), moment(".exp_avg_sq")};
  (p.value.rank() > 1 ? decayed_ : others_).push_back(tensors);
}

void AdamW::add_8bit(const Parameter& p) {
  const std::int64_t blocks = (p.value.numel() + kMomentBlock - 1) / kMomentBlock;
  const auto moment = [&](const std::string& number, const Tensor& map) {
    return Blockwise8Tensor{
        kMomentBlock,
        stated(p.name + ".state" + number, DType::u8, p.value.shape(), p.value.device()),
        stated(p.name + ".absmax" + number, DType::f32, {blocks}, p.value.device()), map};
  };
  const AdamW8bitTensors tensors{p.grad, p.value, moment("1", signed_map_),
                                 moment("2", unsigned_map_)};
  (p.value.rank() > 1 ? decayed_8bit_ : others_8bit_).push_back(tensors);
}

// A tensor of the state, which is zero before the first step.
Tensor AdamW::stated(const std::string& name, DType dtype, const Shape& shape, Device device) {
  const Tensor t = ops::empty_on(device, dtype, shape);
  ops::fill_bytes(t, 0);
  state_.emplace_back(name, t);
  return t;
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
  ops::adamw_8bit_all(step, decayed_8bit_);
  step.weight_decay = 0.0;
  ops::adamw_all(step, others_);
  ops::adamw_8bit_all(step, others_8bit_);
}

double AdamW::gradient_norm() {
  const double norm = *ops::on(Device::cpu, norm_).data<double>() / loss_scale_;
  if (!std::isfinite(norm)) --t_;
  return norm;
}

}  // namespace qlora
