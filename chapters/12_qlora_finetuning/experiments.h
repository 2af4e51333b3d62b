// What the course only states, answered on the embedded model: `experiment NAME`.
#pragma once

#include <deque>
#include <string>

#include "course/experiment.h"
#include "course/options.h"
#include "support/price_job.h"

namespace qlora::chapter12 {

/// What the command line of an experiment asks for.
struct ExperimentCommand {
  std::string model;          ///< another base; empty: the embedded one
  PriceRun run;               ///< what holds for all its runs
  ExperimentOptions options;  ///< seeds and files
};

/// Adds the verb `experiment` with a verb for each question: rank, alpha, alpha-rule, dora,
/// targets, learning-rate, base-format, lora-against-qlora, random-base.
/// @param commands  where their options go; it must outlive `parent`
void add_experiments(Options& parent, std::deque<ExperimentCommand>& commands);

}  // namespace qlora::chapter12
