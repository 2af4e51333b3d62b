// AdamW over named parameters, with clipping.
#pragma once

#include <vector>

#include "core/arena.h"
#include "llama/model.h"
#include "ops/adamw.h"
#include "training/arguments.h"

namespace qlora {

/// Moments of every parameter, in the parameters' own order and dtype, and on their device.
class AdamW {
 public:
  /// Parameters of one dimension (norms) get no weight decay (transformers:
  /// get_decay_parameter_names).
  AdamW(std::vector<Parameter> parameters, const TrainingArguments& arguments);

  /// To be called before the first micro-batch of a step: backward passes add to the gradients.
  void zero_gradients() const;
  /// Clips the gradients, which are loss_scale times too large, to max_grad_norm, and makes one
  /// step, unless a gradient is not finite: then nothing changes. Nothing waits for it.
  void step(double learning_rate, double loss_scale = 1.0);
  /// L2 norm of all gradients of the last step, without the loss scale and before clipping; waits
  /// for the device. Where it is not finite the step was none, and is not counted.
  double gradient_norm();

  /// The parameters and, in their order and shapes, their gradients and both moments; all share the
  /// optimizer's memory.
  const std::vector<Parameter>& parameters() const { return parameters_; }
  const std::vector<Tensor>& gradients() const { return gradients_; }
  const std::vector<Tensor>& exp_avg() const { return m_; }
  const std::vector<Tensor>& exp_avg_sq() const { return v_; }
  /// Steps made; they set the bias correction, so a resumed run sets them too.
  std::int64_t steps() const { return t_; }
  void set_steps(std::int64_t t) { t_ = t; }

 private:
  std::vector<Parameter> parameters_;
  std::vector<Tensor> m_, v_, gradients_;
  std::vector<AdamWTensors> decayed_, others_;  // all of them: with weight decay, and without
  Tensor norm_;                                 // (1) F64, on the parameters' device
  Arena arena_;                                 // scratch there
  double loss_scale_ = 1.0;                     // of the last step
  TrainingArguments arguments_;
  std::int64_t t_ = 0;
};

}  // namespace qlora
