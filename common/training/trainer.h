// The training loop: forward, backward, clip, update; logs, evaluation, checkpoints, resuming.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>

#include "ops/processes.h"
#include "ops/timeline.h"
#include "training/optimizer.h"
#include "training/step_plan.h"
#include "training/trainer_state.h"

namespace qlora {

/// What one optimizer step did.
struct StepReport {
  std::int64_t step = 0;             ///< 1 for the first
  std::int64_t total_steps = 0;      ///< of the whole run
  double epoch = 0.0;                ///< epochs passed, with a fraction
  double loss = 0.0;                 ///< mean over the step's supervised tokens
  double learning_rate = 0.0;        ///< the one that was used
  double grad_norm = 0.0;            ///< before clipping
  std::int64_t tokens = 0;           ///< tokens of the step, padding not counted
  double tokens_per_second = 0.0;    ///< since the run began
  double seconds = 0.0;              ///< of this step
  std::vector<ops::PartTime> parts;  ///< of these seconds on a GPU, where the task asks for it
};

/// What the caller wants to hear of a run, and how it ends one. All may be empty.
struct TrainingEvents {
  std::function<void(const StepReport&)> on_step;  ///< after each optimizer step
  std::function<void(const Json&)> on_log;         ///< each entry of log_history
  std::function<int()> stop_signal;                ///< not 0: finish the step, save, and return
};

/// A model, what of it is trained, and on what.
struct TrainingTask {
  LlamaModel& model;                        ///< trained in place
  std::vector<Parameter> parameters;        ///< its adapters', or all of its own
  std::span<const TokenizedExample> train;  ///< at least one row
  std::span<const TokenizedExample> eval;   ///< may be empty
  std::int32_t pad_id = 0;                  ///< fills short rows up; it is masked
  TrainingArguments arguments;              ///< see validate()
  std::string output_dir;                   ///< for checkpoints; empty: none are written
  /// Writes what is trained, in the form that other programs read, into a checkpoint's folder.
  std::function<void(const std::string& folder)> save_model;
  std::int64_t arena_bytes = 0;  ///< of activations, as planned; 0: as it turns out
  bool timeline = false;         ///< whether each step's time on a GPU is told part by part
  /// That share the micro-batches of each step; nullptr: no others.
  Processes* processes = nullptr;
};

/// What a run came to, the part before a resumed checkpoint included.
struct TrainingResult {
  std::int64_t steps = 0;       ///< optimizer steps
  double train_loss = 0.0;      ///< mean over all steps
  double seconds = 0.0;         ///< of training, evaluation and checkpoints
  std::int64_t tokens = 0;      ///< trained on, padding not counted
  int stopped_by = 0;           ///< the signal that ended the run early, or 0
  std::string last_checkpoint;  ///< folder of the newest checkpoint, or ""
  TrainerState state;           ///< with log_history
};

/// Trains. Losses and gradients are normalized by the number of supervised tokens of all
/// micro-batches of a step (transformers 5: num_items_in_batch, counted after the shift). Several
/// processes take turns with the micro-batches of a step, whose number is that of all of them
/// together: the run is, to rounding, that of one process alone. The first of them saves.
/// @param resume_from  a checkpoint folder of an earlier run with the same settings: the run
///                     goes on bit for bit (same machine, build and thread count)
/// @throws BadInput on a checkpoint that does not fit; Error (check_failed) naming step and rows
/// where the loss is not finite, and the last checkpoint, which stays
TrainingResult train(TrainingTask& task, const TrainingEvents& events = {},
                     const std::optional<std::string>& resume_from = std::nullopt);

/// Whether a run on these rows can go on from a checkpoint, as far as that shows without its model.
/// @throws BadInput as train()
void check_checkpoint(const std::string& folder, std::span<const TokenizedExample> train,
                      const TrainingArguments& arguments);

}  // namespace qlora
