// What a run must remember to go on: step, logs, moments; checkpoint folders.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "core/json.h"
#include "training/loss_scale.h"
#include "training/optimizer.h"

namespace qlora {

/// The fields of transformers' TrainerState (trainer_callback.py), and what a resumed run needs to
/// log the same numbers.
struct TrainerState {
  std::int64_t global_step = 0;            ///< optimizer steps done
  double epoch = 0.0;                      ///< epochs passed, with a fraction
  std::int64_t max_steps = 0;              ///< of the whole run
  std::int64_t num_train_epochs = 0;       ///< rounded up
  std::int64_t train_batch_size = 0;       ///< rows of a micro-batch
  std::int64_t num_input_tokens_seen = 0;  ///< padding not counted

  /// As in TrainingArguments.
  std::int64_t logging_steps = 0;
  std::int64_t eval_steps = 0;
  std::int64_t save_steps = 0;

  /// The lowest eval_loss, its step, and the checkpoint of that step; none without evaluation.
  std::optional<double> best_metric;
  std::optional<std::int64_t> best_global_step;
  std::optional<std::string> best_model_checkpoint;

  Json log_history = Json::array();  ///< an object for each entry, with "step" and "epoch"

  // Not among transformers' fields: they stand in the checkpoint's resume.json.
  double loss_sum = 0.0;             ///< of all steps
  double loss_since_log = 0.0;       ///< of the steps since the last log entry
  std::int64_t steps_since_log = 0;  ///< what that sum is divided by
  double train_seconds = 0.0;        ///< of all parts of the run
  LossScale loss_scale;              ///< of float16 arithmetic
  std::int64_t train_rows = 0;       ///< of the training data, packed rows where they are packed
  std::int64_t train_tokens = 0;     ///< in all of them
};

/// trainer_state.json: sorted keys, as transformers writes it.
Json to_json(const TrainerState& state);

/// "<output_dir>/checkpoint-<step>"
std::string checkpoint_folder(const std::string& output_dir, std::int64_t step);

/// The newest checkpoint folder in output_dir, if there is one.
std::optional<std::string> newest_checkpoint(const std::string& output_dir);

/// Writes a checkpoint folder, all or nothing: what save_model writes, optimizer.safetensors (the
/// parameters themselves and both moments), resume.json, and last trainer_state.json.
void save_checkpoint(const std::string& folder, const TrainingArguments& arguments,
                     const AdamW& optimizer, const TrainerState& state,
                     const std::function<void(const std::string&)>& save_model);

/// Reads back the state alone. @return the optimizer's steps: those that overflowed were none
/// @throws BadInput where settings or the data's size do not fit this run
std::int64_t load_state(const std::string& folder, const TrainingArguments& arguments,
                        TrainerState& state);

/// Reads it back into the optimizer's parameters and moments, and the state.
/// @throws BadInput as load_state, and where files, names or shapes do not fit
void load_checkpoint(const std::string& folder, const TrainingArguments& arguments,
                     AdamW& optimizer, TrainerState& state);

/// Only the parameters' values of a checkpoint.
void load_parameters(const std::string& folder, const std::vector<Parameter>& parameters);

/// Removes the oldest checkpoints above `limit` (0: none), but never `kept`.
void remove_old_checkpoints(const std::string& output_dir, std::int64_t limit,
                            const std::optional<std::string>& kept);

}  // namespace qlora
