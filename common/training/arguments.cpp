#include "training/arguments.h"

#include <cmath>

#include "core/error.h"

namespace qlora {
namespace {

void check(bool condition, const char* option, const char* expected) {
  if (!condition) throw UsageError(std::string("--") + option + " must be " + expected);
}

}  // namespace

LrScheduler lr_scheduler_from(const std::string& name) {
  if (name == "linear") return LrScheduler::linear;
  if (name == "cosine") return LrScheduler::cosine;
  if (name == "constant") return LrScheduler::constant;
  if (name == "constant_with_warmup") return LrScheduler::constant_with_warmup;
  throw UsageError("--lr-scheduler-type must be linear, cosine, constant or constant_with_warmup");
}

SaveStrategy save_strategy_from(const std::string& name) {
  if (name == "no") return SaveStrategy::no;
  if (name == "steps") return SaveStrategy::steps;
  if (name == "epoch") return SaveStrategy::epoch;
  throw UsageError("--save-strategy must be no, steps or epoch");
}

Optim optim_from(const std::string& name) {
  for (const char* plain : {"adamw_torch", "adamw_torch_fused", "paged_adamw_32bit"}) {
    if (name == plain) return Optim::adamw_torch;
  }
  for (const char* in_8bit : {"adamw_8bit", "adamw_bnb_8bit", "paged_adamw_8bit"}) {
    if (name == in_8bit) return Optim::adamw_8bit;
  }
  throw UsageError("--optim must be adamw_torch or adamw_8bit, or another name of one of them");
}

void validate(const TrainingArguments& a) {
  check(std::isfinite(a.learning_rate) && a.learning_rate >= 0, "learning-rate", "at least 0");
  check(std::isfinite(a.warmup_steps) && a.warmup_steps >= 0, "warmup-steps", "at least 0");
  check(a.per_device_train_batch_size >= 1, "per-device-train-batch-size", "at least 1");
  check(a.per_device_eval_batch_size >= 1, "per-device-eval-batch-size", "at least 1");
  check(a.gradient_accumulation_steps >= 1, "gradient-accumulation-steps", "at least 1");
  check(a.max_steps > 0 || (std::isfinite(a.num_train_epochs) && a.num_train_epochs > 0),
        "num-train-epochs", "above 0 where --max-steps is not given");
  check(a.weight_decay >= 0, "weight-decay", "at least 0");
  check(a.adam_beta1 >= 0 && a.adam_beta1 < 1, "adam-beta1", "in [0, 1)");
  check(a.adam_beta2 >= 0 && a.adam_beta2 < 1, "adam-beta2", "in [0, 1)");
  check(a.adam_epsilon >= 0, "adam-epsilon", "at least 0");
  check(a.max_grad_norm >= 0, "max-grad-norm", "at least 0");
  check(a.logging_steps >= 1, "logging-steps", "at least 1");
  check(a.eval_steps >= 0, "eval-steps", "at least 0");
  check(a.save_steps >= 1, "save-steps", "at least 1");
  check(a.save_total_limit >= 0, "save-total-limit", "at least 0");
}

}  // namespace qlora
