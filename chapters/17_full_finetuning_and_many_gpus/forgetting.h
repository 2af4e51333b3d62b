// The experiment `forgetting`: what a model still knows of its old text, once it was tuned on
// prices.
#pragma once

#include "course/experiment.h"
#include "course/options.h"

namespace qlora::chapter17 {

/// Its command line.
struct ForgettingOptions {
  ExperimentOptions experiment;  ///< seeds, folder, file
  std::string device = "auto";   ///< or "cpu", "cuda"
  std::int64_t items = 60000;    ///< training items seen by each run, as in the main job
  std::int64_t batch_size = 16;  ///< items a step
  std::string test_data;         ///< other test items; empty: the embedded ones
};

/// Adds its options.
void add_forgetting_options(Options& verb, ForgettingOptions& o);

/// Before tuning; every weight tuned at four learning rates; adapters of three ranks at three;
/// QLoRA as the main job has it. Of each: loss on old text that was held out of pre-training, and
/// loss, error and hits on the test items. Everything in float32 but QLoRA's base. It writes
/// forgetting-tradeoff.svg beside the experiment's own files: old loss against new.
/// @throws BadInput, MachineLacks
void run_forgetting(const ForgettingOptions& o);

}  // namespace qlora::chapter17
