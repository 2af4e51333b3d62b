// AdamW over named parameters, with clipping.
#pragma once

#include <vector>

#include "checkpoint/safetensors.h"
#include "core/arena.h"
#include "llama/model.h"
#include "ops/adamw_8bit.h"
#include "training/arguments.h"

namespace qlora {

/// Moments of every parameter, in its dtype and on its device; with Optim::adamw_8bit those of
/// parameters that has_8bit_moments() are in 8 bits, for which they must be in float32.
class AdamW {
 public:
  /// Parameters of one dimension (norms) get no weight decay (transformers:
  /// get_decay_parameter_names).
  AdamW(const std::vector<Parameter>& parameters, const TrainingArguments& arguments);

  /// To be called before the first micro-batch of a step: backward passes add to the gradients.
  void zero_gradients() const;
  /// Clips the gradients, which are loss_scale times too large, to max_grad_norm, and makes one
  /// step, unless a gradient is not finite: then nothing changes. Nothing waits for it.
  void step(double learning_rate, double loss_scale = 1.0);
  /// L2 norm of all gradients of the last step, without the loss scale and before clipping; waits
  /// for the device. Where it is not finite the step was none, and is not counted.
  double gradient_norm();

  /// Everything that a step changes, to be saved and read back into: each parameter under its name,
  /// and as NAME.exp_avg and NAME.exp_avg_sq its moments, or in 8 bits as NAME.state1, .absmax1,
  /// .state2 and .absmax2 (the names of torch and of bitsandbytes). All share the optimizer's
  /// memory.
  const NamedTensors& state() const { return state_; }
  /// The parameters' gradients, which step() takes.
  const std::vector<Tensor>& gradients() const { return gradients_; }
  /// Steps made; they set the bias correction, so a resumed run sets them too.
  std::int64_t steps() const { return t_; }
  void set_steps(std::int64_t t) { t_ = t; }

 private:
  void add(const Parameter& p);
  void add_8bit(const Parameter& p);
  Tensor stated(const std::string& name, DType dtype, const Shape& shape, Device device);

  std::vector<Tensor> gradients_;
  // All parameters, with weight decay and without, and those whose moments are in 8 bits.
  std::vector<AdamWTensors> decayed_, others_;
  std::vector<AdamW8bitTensors> decayed_8bit_, others_8bit_;
  Tensor signed_map_, unsigned_map_;  // (256) F32 there, of all moments in 8 bits
  NamedTensors state_;
  Tensor norm_;              // (1) F64, on the parameters' device
  Arena arena_;              // scratch there
  double loss_scale_ = 1.0;  // of the last step
  TrainingArguments arguments_;
  std::int64_t t_ = 0;
};

}  // namespace qlora
