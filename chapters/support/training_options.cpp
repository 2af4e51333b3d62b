#include "support/training_options.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <utility>

#include "core/error.h"
#include "lora/target_modules.h"
#include "support/python_names.h"

namespace qlora {
namespace {

void add_run_options(Options& verb, TrainingOptions& o) {
  TrainingArguments& a = o.arguments;
  verb.add("--learning-rate", a.learning_rate, "at its peak");
  verb.add("--lr-scheduler-type", o.lr_scheduler_type, "how the rate changes")
      .choices({"linear", "cosine", "constant", "constant_with_warmup"});
  verb.add("--warmup-steps", a.warmup_steps, "steps of warm-up; below 1 a share of all steps");
  verb.add("--warmup-ratio", o.warmup_ratio, "the older name of a share");
  verb.add("--per-device-train-batch-size", a.per_device_train_batch_size, "rows a micro-batch");
  verb.add("--per-device-eval-batch-size", a.per_device_eval_batch_size, "rows of an evaluation");
  verb.add("--gradient-accumulation-steps", a.gradient_accumulation_steps, "micro-batches a step");
  verb.add("--num-train-epochs", a.num_train_epochs, "passes over the data");
  verb.add("--max-steps", a.max_steps, "optimizer steps; wins over epochs");
  verb.add("--weight-decay", a.weight_decay, "decoupled, as in AdamW");
  verb.add("--adam-beta1", a.adam_beta1, "of the first moment");
  verb.add("--adam-beta2", a.adam_beta2, "of the second moment");
  verb.add("--adam-epsilon", a.adam_epsilon, "beside the root of the second moment");
  verb.add("--max-grad-norm", a.max_grad_norm, "gradients are clipped to it; 0: not");
  verb.add("--gradient-checkpointing", o.gradient_checkpointing, "--activations checkpoint");
  verb.add("--activations", o.activations,
           "what is kept for the backward pass, the rest is computed again; default: keep")
      .choices({"keep", "lean", "checkpoint", "offload"});
  verb.add("--max-memory", o.max_memory, "16GiB, 8000MiB, or bytes: no more than that is used")
      .value_name("SIZE");
  verb.add("--group-by-length", a.group_by_length, "rows of like length together");
  verb.add("--logging-steps", a.logging_steps, "steps between entries of log_history");
  verb.add("--eval-strategy", o.eval_strategy,
           "when to evaluate; default: steps where --eval-steps is given")
      .alias("--evaluation-strategy")
      .choices({"no", "steps", "epoch"});
  verb.add("--eval-steps", a.eval_steps,
           "steps between evaluations; 0: none, or with --eval-strategy steps --logging-steps");
  verb.add("--save-strategy", o.save_strategy, "when to write checkpoints")
      .choices({"no", "steps", "epoch"});
  verb.add("--save-steps", a.save_steps, "steps between checkpoints");
  verb.add("--save-total-limit", a.save_total_limit, "newest checkpoints to keep; 0: all");
  verb.add("--load-best-model-at-end", a.load_best_model_at_end, "by eval_loss");
  verb.add("--seed", o.seed, "of the order of rows, of A and of dropout").at_least(0);
  verb.add("--optim", o.optim, "AdamW; adamw_8bit holds its moments in 8 bits")
      .choices({"adamw_torch", "adamw_torch_fused", "paged_adamw_32bit", "adamw_8bit",
                "adamw_bnb_8bit", "paged_adamw_8bit"});
}

void add_lora_options(Options& verb, TrainingOptions& o) {
  verb.add("--r", o.lora.r, "rank of the adapters").alias("--lora-r");
  verb.add("--lora-alpha", o.lora.lora_alpha, "their scale is lora_alpha / r");
  verb.add("--lora-dropout", o.lora.lora_dropout, "on the input of A");
  verb.add("--target-modules", o.target_modules,
           "a comma list, all-linear, or a regular expression for whole names")
      .comma_separated();
  verb.add("--exclude-modules", o.exclude_modules, "left out of them, in the same words")
      .comma_separated();
  verb.add("--layers-to-transform", o.layers_to_transform,
           "where --target-modules is a list: in these layers only, counted from 0")
      .comma_separated();
  verb.add("--rank-pattern", o.rank_pattern,
           "another r for some modules, a name or a regular expression each: {\"q_proj\": 32}");
  verb.add("--alpha-pattern", o.alpha_pattern, "another lora_alpha, likewise");
  verb.add("--use-rslora", o.lora.use_rslora, "scale by lora_alpha / sqrt(r)");
  verb.add("--use-dora", o.lora.use_dora, "weight-decomposed adapters");
  verb.add("--base-model-name-or-path", o.base_model_name_or_path,
           "what adapter_config.json calls the base; default: --model");
}

// The evaluations that --eval-strategy asks for, as transformers understands it.
void settle_evaluation(const TrainingOptions& o, TrainingArguments& a) {
  if (o.eval_strategy.empty()) return;
  const bool in_steps = o.eval_strategy == "steps";
  a.eval_each_epoch = o.eval_strategy == "epoch";
  a.eval_steps = !in_steps ? 0 : a.eval_steps > 0 ? a.eval_steps : a.logging_steps;
}

void settle_modules(const TrainingOptions& o, LoraConfig& lora) {
  lora.target_modules = names_or_pattern(o.target_modules);
  if (!o.exclude_modules.empty()) lora.exclude_modules = names_or_pattern(o.exclude_modules);
  if (!o.layers_to_transform.empty()) lora.layers_to_transform = o.layers_to_transform;
  if (!o.rank_pattern.is_null()) {
    for (const auto& [module, r] : o.rank_pattern.as_object()) {
      lora.rank_pattern.emplace_back(module, r.as_integer());
    }
  }
  if (!o.alpha_pattern.is_null()) {
    for (const auto& [module, alpha] : o.alpha_pattern.as_object()) {
      lora.alpha_pattern.emplace_back(module, alpha.as_number());
    }
  }
}

ActivationPolicy policy_of(const TrainingOptions& o) {
  const bool checkpoints = o.gradient_checkpointing;
  if (o.activations.empty()) {
    return checkpoints ? ActivationPolicy::checkpoint : ActivationPolicy::keep;
  }
  const ActivationPolicy policy = activation_policy_from(o.activations);
  const bool keeps_less =
      policy == ActivationPolicy::checkpoint || policy == ActivationPolicy::offload;
  if (checkpoints && !keeps_less) {
    throw UsageError("--gradient-checkpointing and --activations " + o.activations +
                     " contradict each other");
  }
  return policy;
}

}  // namespace

std::int64_t bytes_of(const std::string& option, const std::string& size) {
  constexpr std::array<std::pair<std::string_view, double>, 9> units{{{"", 1},
                                                                      {"KB", 1e3},
                                                                      {"MB", 1e6},
                                                                      {"GB", 1e9},
                                                                      {"TB", 1e12},
                                                                      {"KiB", 0x1p10},
                                                                      {"MiB", 0x1p20},
                                                                      {"GiB", 0x1p30},
                                                                      {"TiB", 0x1p40}}};
  double number = 0;
  const auto [end, error] = std::from_chars(size.data(), size.data() + size.size(), number);
  const std::string_view unit(end, static_cast<std::size_t>(size.data() + size.size() - end));
  for (const auto& [name, bytes] : units) {
    if (error != std::errc() || unit != name) continue;
    const double all = number * bytes;
    if (all >= 1 && all <= 0x1p50) return static_cast<std::int64_t>(std::floor(all));
  }
  throw UsageError(option + " must be a size of 1 byte to 1024TiB, such as 16GiB, 8000MiB or " +
                   "17179869184; found \"" + size + "\"");
}

void add_training_options(Options& verb, TrainingOptions& o) {
  verb.add("--data", o.data, "JSONL to train on").value_name("FILE");
  verb.add("--eval-data", o.eval_data, "JSONL for --eval-steps").value_name("FILE");
  verb.add("--output-dir", o.output_dir, "default: a folder in runs/ of --run-name")
      .value_name("DIR");
  verb.add("--run-name", o.run_name, "of that folder; %Y, %m, … stand for the time");
  verb.add("--max-length", o.max_length, "rows are cut to so many tokens")
      .alias("--max-seq-length")
      .at_least(2);
  verb.add("--packing", o.packing, "several examples share a row of --max-length tokens");
  verb.add("--packing-strategy", o.packing_strategy, "best fit decreasing, no example is cut")
      .choices({"bfd"});
  verb.add("--resume-from-checkpoint", o.resume_from_checkpoint,
           "a checkpoint folder, or true for the newest in --output-dir");
  add_run_options(verb, o);
  add_lora_options(verb, o);
  add_other_python_names(verb);
  verb.add_config();
}

void settle(TrainingOptions& o) {
  TrainingArguments& a = o.arguments;
  a.lr_scheduler_type = lr_scheduler_from(o.lr_scheduler_type);
  a.save_strategy = save_strategy_from(o.save_strategy);
  a.optim = optim_from(o.optim);
  a.seed = static_cast<std::uint64_t>(o.seed);
  if (o.warmup_ratio && a.warmup_steps == 0) {
    if (!(*o.warmup_ratio >= 0 && *o.warmup_ratio < 1)) {
      throw UsageError("--warmup-ratio must be at least 0 and below 1");
    }
    a.warmup_steps = *o.warmup_ratio;
  }
  settle_evaluation(o, a);
  settle_modules(o, o.lora);
  a.activations = policy_of(o);
  if (!o.max_memory.empty()) o.memory_limit = bytes_of("--max-memory", o.max_memory);
  if (o.optim.starts_with("paged_")) {
    fmt::print(stderr, "{} is {} here: nothing needs paging\n", o.optim,
               a.optim == Optim::adamw_8bit ? "adamw_8bit" : "the plain AdamW");
  }
  validate(a);
  validate(o.lora);
}

}  // namespace qlora
