// Fine-tuning: the verb `train`, and the run that the main job is made of.
#pragma once

#include <functional>
#include <string>

#include "speed.h"
#include "support/model_options.h"
#include "support/training_options.h"
#include "training/trainer.h"

namespace qlora {

/// The command line of `train`.
struct TrainOptions {
  ModelOptions model;              ///< the base, without adapters
  TrainingOptions training;        ///< what `train` shares with other verbs
  std::string date_string;         ///< for a chat template that names the day; empty: its own
  std::string ids;                 ///< a batch as JSON: one pass over it instead of a run
  std::string dump_gradients;      ///< the safetensors file for that pass
  std::int64_t num_processes = 0;  ///< started on this host; 0: what a launcher's environment says
  bool profile = false;            ///< a table of the time of a step by part
  std::string json;                ///< where the result goes
};

/// The verb. @return the exit code: 130 or 143 where a signal ended the run
int run_train(TrainOptions& o, const std::string& command);

/// Trains the adapters of a model with a progress bar, and writes them, trainer_state.json and
/// loss.svg into task.output_dir. Where results are asked for, the speed is summed up into them.
TrainingResult train_with_progress(TrainingTask& task, const LoraConfig& lora,
                                   const std::optional<std::string>& resume_from,
                                   StepSpeed speed = StepSpeed(std::nullopt),
                                   Json* results = nullptr);

/// A checkpoint's and a run's adapter: what PEFT reads.
void write_adapter_of(const LlamaModel& model, const LoraConfig& lora, const std::string& folder);

}  // namespace qlora
