// The options of a fine-tuning run: TrainingArguments and LoraConfig under their own names.
#pragma once

#include <string>

#include "course/options.h"
#include "llama/activation_policy.h"
#include "lora/config.h"
#include "training/arguments.h"

namespace qlora {

/// Options under the names of the Python libraries.
struct TrainingOptions {
  TrainingArguments arguments;                 ///< settle() completes them
  LoraConfig lora;                             ///< likewise
  std::string data;                            ///< JSONL to train on
  std::string eval_data;                       ///< JSONL for evaluations; may be empty
  std::string output_dir;                      ///< empty: a folder in runs/ with the run's name
  std::string run_name = "%Y-%m-%d_%H.%M.%S";  ///< strftime's signs in it are the time's
  std::string base_model_name_or_path;         ///< as adapter_config.json has it; empty: the folder
  std::int64_t max_length = 1024;              ///< rows are cut to so many tokens
  bool packing = false;                        ///< examples share rows of max_length tokens
  std::string resume_from_checkpoint;          ///< a folder, or "true" for the newest

  std::optional<std::int64_t> memory_limit;  ///< bytes; none: what the device has

  /// As they are typed; settle() puts them into the structures above.
  std::string lr_scheduler_type = "linear";
  std::string save_strategy = "steps";
  std::string eval_strategy;  ///< empty: steps where eval_steps is given
  std::string target_modules = "q_proj,v_proj";
  std::string exclude_modules;
  std::vector<std::int64_t> layers_to_transform;
  Json rank_pattern, alpha_pattern;
  std::string optim = "adamw_torch";
  std::string packing_strategy = "bfd";
  std::string activations;  ///< empty: keep, or checkpoint with --gradient-checkpointing
  bool gradient_checkpointing = false;
  std::string max_memory;  ///< empty: no limit
  std::int64_t seed = 42;
  std::optional<double> warmup_ratio;
};

/// Declares the options, those that are known and not supported among them, and --config.
void add_training_options(Options& verb, TrainingOptions& o);

/// Turns words into settings, once the command line is read, and says in one line what is replaced
/// by something else. @throws UsageError, BadInput
void settle(TrainingOptions& o);

/// "16GiB", "8000MiB", "1.5GB" or bare bytes, up to 1 PiB. @throws UsageError naming the option
std::int64_t bytes_of(const std::string& option, const std::string& size);

}  // namespace qlora
