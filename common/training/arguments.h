// The settings of a training run, under the names and with the defaults of transformers 5.
#pragma once

#include <cstdint>
#include <string>

namespace qlora {

enum class LrScheduler { linear, cosine, constant, constant_with_warmup };
enum class SaveStrategy { no, steps, epoch };

/// transformers: TrainingArguments (training_args.py), the fields that are supported.
struct TrainingArguments {
  double learning_rate = 5e-5;
  LrScheduler lr_scheduler_type = LrScheduler::linear;
  double warmup_steps = 0.0;  ///< below 1 a ratio of all steps, else a number of steps
  std::int64_t per_device_train_batch_size = 8;
  std::int64_t per_device_eval_batch_size = 8;
  std::int64_t gradient_accumulation_steps = 1;
  double num_train_epochs = 3.0;
  std::int64_t max_steps = -1;  ///< above 0 it wins over num_train_epochs
  double weight_decay = 0.0;
  double adam_beta1 = 0.9;
  double adam_beta2 = 0.999;
  double adam_epsilon = 1e-8;
  double max_grad_norm = 1.0;  ///< 0: no clipping
  bool gradient_checkpointing = false;
  bool group_by_length = false;
  std::int64_t logging_steps = 500;
  std::int64_t eval_steps = 0;  ///< 0: no evaluation during training
  SaveStrategy save_strategy = SaveStrategy::steps;
  std::int64_t save_steps = 500;
  std::int64_t save_total_limit = 0;  ///< 0: keep all checkpoints
  bool load_best_model_at_end = false;
  std::uint64_t seed = 42;
};

/// "linear", …: the names of transformers. @throws UsageError on any other
LrScheduler lr_scheduler_from(const std::string& name);
SaveStrategy save_strategy_from(const std::string& name);

/// Checks what can be checked before the data is known. @throws UsageError naming the option
void validate(const TrainingArguments& arguments);

}  // namespace qlora
