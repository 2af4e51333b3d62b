// evaluate and items.
#pragma once

#include <string>

#include "support/model_options.h"

namespace qlora {

struct EvaluateOptions {
  ModelOptions model;
  std::string data, train_data, report, json, command;
  std::int64_t seed = 0;
};

struct ItemsOptions {
  std::int64_t seed = 0;
  std::int64_t count = 0;
  std::string output;
};

/// Evaluates the base, and with adapters the tuned model, and writes the report.
void run_evaluate(const EvaluateOptions& o);

/// Writes fresh price items, none of whose descriptions stand in the embedded training data.
void run_items(const ItemsOptions& o);

}  // namespace qlora
