// The story of the embedded model: what it knew, what it learned in three minutes.
#pragma once

#include <cstdint>
#include <string>

#include "evaluation/report.h"

namespace qlora {

/// The command line of the main job.
struct MainJobOptions {
  std::string output_dir = "runs/main-job";  ///< of report, figure and adapter
  std::string test_data;                     ///< other test items; default: the embedded ones
  std::string model;                         ///< default: the embedded one
  std::string device = "auto";               ///< or "cpu", "cuda"
  std::string dtype;                         ///< arithmetic; empty: chosen by the device
  std::int64_t seed = 42;                    ///< of the order of items, of A and of the intervals
  std::int64_t items = 60000;                ///< training items seen
  double learning_rate = 2e-3;               ///< at its peak
  std::int64_t r = 32;                       ///< rank
  std::int64_t batch_size = 16;              ///< items a step
  std::int64_t test_items = 0;               ///< measured, the first ones; 0: all
  bool with_random_base = false;             ///< tune random weights too, for comparison
  std::string command;                       ///< for the report
};

/// What it came to.
struct MainJobResult {
  Report report;       ///< as it is written
  Json log_history;    ///< of the training, as in trainer_state.json
  int stopped_by = 0;  ///< the signal that ended the training early, or 0
};

/// Base evaluated, trained, tuned evaluated; the report printed and written.
MainJobResult run_main_job(const MainJobOptions& o);

}  // namespace qlora
