// AdamW over named parameters, with clipping.
#pragma once

#include <vector>

#include "llama/model.h"
#include "training/arguments.h"

namespace qlora {

/// Moments of every parameter, in the parameters' own order and dtype.
class AdamW {
 public:
  /// Parameters of one dimension (norms) get no weight decay (transformers: get_decay_parameter_names).
  AdamW(std::vector<Parameter> parameters, const TrainingArguments& arguments);

  void zero_gradients() const;
  /// Clips the gradients to max_grad_norm by min(1, max / (norm + 1e-6)) (torch: clip_grad_norm_)
  /// and makes one step. @return the norm before clipping
  double step(double learning_rate);

  const std::vector<Parameter>& parameters() const { return parameters_; }
  const std::vector<Tensor>& exp_avg() const { return m_; }
  const std::vector<Tensor>& exp_avg_sq() const { return v_; }
  std::int64_t steps() const { return t_; }
  void set_steps(std::int64_t t) { t_ = t; }

 private:
  std::vector<Parameter> parameters_;
  std::vector<Tensor> m_, v_;
  TrainingArguments arguments_;
  std::int64_t t_ = 0;
};

/// L2 norm over all gradients, in double.
double gradient_norm(const std::vector<Parameter>& parameters);

}  // namespace qlora
