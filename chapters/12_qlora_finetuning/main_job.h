// The story of the embedded model: what it knew, what it learned in three minutes.
#pragma once

#include <string>

#include "evaluation/report.h"
#include "support/price_job.h"

namespace qlora {

/// The command line of the main job.
struct MainJobOptions {
  std::string output_dir = "runs/main-job";  ///< of report, figure and adapter
  std::string test_data;                     ///< other test items; default: the embedded ones
  std::string model;                         ///< default: the embedded one
  PriceRun run;                              ///< device, length, rate, rank and seed of the tuning
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
