// What a language model does on the rows of a data set.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "evaluation/comparison.h"
#include "evaluation/data.h"
#include "evaluation/metrics.h"
#include "llama/model.h"

namespace qlora {

/// Rows of a data set without prices whose completions are read aloud.
inline constexpr std::size_t kSpokenRows = 5;

/// What a model did on a data set.
struct ModelEvaluation {
  Metrics metrics;  ///< with loss and perplexity
  /// Greedy, of each row, or without prices of the first kSpokenRows; empty where the row asks
  /// nothing.
  std::vector<std::string> completions;
  std::vector<std::optional<double>> answers;  ///< read from them, where there are prices
  std::vector<RowLoss> losses;                 ///< of each row
};

/// The loss of every row; where the rows have prices also the greedy completion of every prompt (at
/// most eight tokens) and what it comes to in dollars, else the first few completions (at most 48
/// tokens).
/// @param cap          see answer_cap()
/// @param on_progress  called with the number of rows done
ModelEvaluation evaluate_model(const LlamaModel& model, const Tokenizer& tokenizer,
                               const EvaluationData& data, double cap, std::uint64_t seed,
                               const std::function<void(std::int64_t)>& on_progress = {});

/// The tuned model against the base on the same rows.
/// @throws std::invalid_argument if the two were not evaluated on this data set
Comparison compare(const ModelEvaluation& base, const ModelEvaluation& tuned,
                   const EvaluationData& data, std::uint64_t seed);

}  // namespace qlora
