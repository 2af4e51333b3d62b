// evaluate and items.
#pragma once

#include <string>

#include "support/model_options.h"

namespace qlora {

/// The command line of `evaluate`.
struct EvaluateOptions {
  ModelOptions model;       ///< with adapters, the tuned model is measured too
  std::string data;         ///< the test rows
  std::string train_data;   ///< the training items, for the trivial predictors: prices on both
  std::string report;       ///< folder of report.json and report.md
  std::string json;         ///< where report.json goes a second time
  std::string date_string;  ///< the day that a chat template names
  std::string command;      ///< for the report
  std::int64_t seed = 0;    ///< of the intervals
};

/// The command line of `items`.
struct ItemsOptions {
  std::int64_t seed = 0;   ///< of the draw
  std::int64_t count = 0;  ///< items to write
  std::string output;      ///< a JSONL file
  std::string json;        ///< where it is said what was drawn
};

/// Evaluates the base, and with adapters the tuned model and each of several alone, and writes the
/// report.
void run_evaluate(const EvaluateOptions& o);

/// Writes fresh price items, none of whose descriptions stand in the embedded training data.
void run_items(const ItemsOptions& o);

}  // namespace qlora
