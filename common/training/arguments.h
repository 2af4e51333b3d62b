// The settings of a training run, under the names and with the defaults of transformers 5.
#pragma once

#include <cstdint>
#include <string>

#include "llama/activation_policy.h"

namespace qlora {

/// How the learning rate changes after the warm-up (training/schedule.h).
enum class LrScheduler { linear, cosine, constant, constant_with_warmup };
/// How the moments of AdamW are held: in float32, or in 8 bits (ops/adamw_8bit.h).
enum class Optim { adamw_torch, adamw_8bit };
/// When checkpoints are written.
enum class SaveStrategy { no, steps, epoch };

/// transformers: TrainingArguments (training_args.py), the fields that are supported.
struct TrainingArguments {
  double learning_rate = 5e-5;                          ///< at its peak
  LrScheduler lr_scheduler_type = LrScheduler::linear;  ///< down to 0, unless constant
  double warmup_steps = 0.0;  ///< below 1 a ratio of all steps, else a number of steps
  std::int64_t per_device_train_batch_size = 8;  ///< rows of a micro-batch
  std::int64_t per_device_eval_batch_size = 8;   ///< rows at once in an evaluation
  std::int64_t gradient_accumulation_steps = 1;  ///< micro-batches of an optimizer step
  double num_train_epochs = 3.0;                 ///< passes over the rows; may have a fraction
  std::int64_t max_steps = -1;                   ///< above 0 it wins over num_train_epochs
  double weight_decay = 0.0;                     ///< of matrices; norms have none
  /// As beta1, beta2 and eps of AdamWStep (ops/adamw.h).
  double adam_beta1 = 0.9;
  double adam_beta2 = 0.999;
  double adam_epsilon = 1e-8;

  Optim optim = Optim::adamw_torch;                       ///< the optimizer
  double max_grad_norm = 1.0;                             ///< 0: no clipping
  ActivationPolicy activations = ActivationPolicy::keep;  ///< what is kept for the backward pass
  bool group_by_length = false;      ///< put rows of like length into a micro-batch
  std::int64_t logging_steps = 500;  ///< optimizer steps between entries of log_history
  std::int64_t eval_steps = 0;       ///< 0: no evaluation at certain steps
  bool eval_each_epoch = false;  ///< eval_strategy = "epoch": one behind each, and the last step
  SaveStrategy save_strategy = SaveStrategy::steps;  ///< needs an output folder
  std::int64_t save_steps = 500;                     ///< optimizer steps between checkpoints
  std::int64_t save_total_limit = 0;                 ///< 0: keep all checkpoints
  bool load_best_model_at_end = false;               ///< the checkpoint of the lowest eval_loss
  std::uint64_t seed = 42;                           ///< of the order of rows and of dropout
};

/// "linear", …: the names of transformers. @throws UsageError on any other
LrScheduler lr_scheduler_from(const std::string& name);
SaveStrategy save_strategy_from(const std::string& name);
/// Also other implementations of the same step: adamw_torch_fused and paged_adamw_32bit of the
/// plain AdamW, adamw_bnb_8bit and paged_adamw_8bit of adamw_8bit.
Optim optim_from(const std::string& name);

/// Checks what can be checked before the data is known. @throws UsageError naming the option
void validate(const TrainingArguments& arguments);

}  // namespace qlora
