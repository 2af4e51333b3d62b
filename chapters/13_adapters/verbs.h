// merge and inspect: adapters into models, and into one another.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace qlora {

/// The options of `merge`.
struct MergeOptions {
  std::optional<std::string> model;             ///< none: a combined adapter is written
  std::vector<std::string> adapters;            ///< PEFT folders, at least one
  std::vector<double> weights;                  ///< empty: 1 each
  std::optional<std::string> combination_type;  ///< linear, cat or svd
  std::optional<std::int64_t> svd_rank;         ///< of the combined adapter
  std::optional<std::string> dtype;             ///< of the merged model
  bool requantize = false;                      ///< quantize the merged model as it was
  std::string output;                           ///< the folder to write
  std::optional<std::string> json;              ///< what was done
};

/// Merges adapters into a model folder, or combines them. @throws UsageError, BadInput
void run_merge(const MergeOptions& o);

/// Prints what an adapter folder holds. @throws BadInput
void run_inspect(const std::string& adapter, const std::optional<std::string>& json);

}  // namespace qlora
