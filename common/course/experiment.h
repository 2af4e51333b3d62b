// Experiments: what a lesson only states, answered by runs over several seeds.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/json.h"
#include "course/options.h"

namespace qlora {

/// What one run measured, under its name ("test loss").
struct Figure {
  std::string name;  ///< heads a column of the table
  double value;      ///< finite, or the run has failed and the table says so
};

/// One of the things that are compared.
struct Variant {
  std::string name;                                       ///< heads a row of the table
  std::function<std::vector<Figure>(std::uint64_t)> run;  ///< with a seed; the same names each time
};

/// A question, and what is tried to answer it.
struct Experiment {
  std::string name;               ///< of the verb and of its files
  std::string question;           ///< one sentence
  Json settings;                  ///< an object: what holds for all runs, as the files say it
  std::vector<Variant> variants;  ///< in the order of the table
};

/// What the command line of an experiment asks for.
struct ExperimentOptions {
  std::int64_t seeds = 3;  ///< runs of each variant, with seeds 1, 2, …
  std::string output_dir;  ///< empty: runs/experiment-NAME
  std::string json;        ///< where the results go a second time
};

/// Where the results of an experiment of this name go.
std::string experiment_folder(const ExperimentOptions& o, const std::string& name);

/// Adds --seeds, --output-dir and --json.
void add_experiment_options(Options& verb, ExperimentOptions& o);

/// Mean and standard deviation of a figure over the seeds.
struct Spread {
  double mean = 0.0;       ///< Σ x / n
  double deviation = 0.0;  ///< sqrt(Σ (x - mean)² / (n - 1)); 0 for one value
};

/// @throws std::invalid_argument if there is no value
Spread spread_of(const std::vector<double>& values);

/// Runs every variant with every seed, all variants with seed 1 first. After each run the results
/// are written into NAME.json, from which a stopped experiment of the same settings goes on; at the
/// end a table of mean ± deviation is printed and the first figure is drawn into NAME.svg.
/// @return the results: {experiment, question, settings, runs: [{variant, seed, figures}], and
///         variants: [{name, figures: {name: {mean, deviation}}}]}
/// @throws BadInput if NAME.json is of other settings, or a file cannot be written
Json run_experiment(const Experiment& e, const ExperimentOptions& o);

}  // namespace qlora
