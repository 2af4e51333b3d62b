// AdamW over named parameters, with clipping.
#pragma once

#include <vector>

#include "llama/model.h"
#include "training/arguments.h"

namespace qlora {

/// Moments of every parameter, in the parameters' own order and dtype.
class AdamW {
 public:
  /// Parameters of one dimension (norms) get no weight decay (transformers:
  /// get_decay_parameter_names).
  AdamW(std::vector<Parameter> parameters, const TrainingArguments& arguments);

  /// To be called before the first micro-batch of a step: backward passes add to the gradients.
  void zero_gradients() const;
  /// Clips the gradients to max_grad_norm (clip_factor)
  /// and makes one step. @return the norm before clipping
  double step(double learning_rate);

  /// The parameters and, in their order and shapes, both moments; all share the optimizer's memory.
  const std::vector<Parameter>& parameters() const { return parameters_; }
  const std::vector<Tensor>& exp_avg() const { return m_; }
  const std::vector<Tensor>& exp_avg_sq() const { return v_; }
  /// Steps made; they set the bias correction, so a resumed run sets them too.
  std::int64_t steps() const { return t_; }
  void set_steps(std::int64_t t) { t_ = t; }

 private:
  std::vector<Parameter> parameters_;
  std::vector<Tensor> m_, v_;
  TrainingArguments arguments_;
  std::int64_t t_ = 0;
};

/// min(1, max_norm / (norm + 1e-6)), what gradients are multiplied by (torch: clip_grad_norm_).
double clip_factor(double norm, double max_norm);

/// L2 norm over all gradients, in double.
double gradient_norm(const std::vector<Parameter>& parameters);

}  // namespace qlora
