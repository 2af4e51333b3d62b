// The story of the embedded model: what it knew, what it learned in three minutes.
#pragma once

#include <string>

#include "support/price_job.h"

namespace qlora {

/// The command line of the main job.
struct MainJobOptions {
  std::string output_dir = "runs/main-job";  ///< of report, figure and adapter
  std::string test_data;                     ///< other test items; default: the embedded ones
  std::string model;                         ///< default: the embedded one
  PriceRun run;                              ///< device, length, rate, rank and seed of the tuning
  bool with_random_base = false;             ///< tune random weights too, for comparison
  std::string json;                          ///< where report.json goes a second time
  std::string command;                       ///< for the report
};

/// Base evaluated, trained, tuned evaluated; the report printed and written. @return exit code
int run_main_job(const MainJobOptions& o);

}  // namespace qlora
