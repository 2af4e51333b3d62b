// A language model's answers to the rows of a data set.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "evaluation/metrics.h"
#include "llama/model.h"
#include "text/examples.h"

namespace qlora {

/// A data set as the evaluation needs it.
struct EvaluationData {
  std::vector<Example> rows;                ///< prompts with priced completions
  std::vector<TokenizedExample> tokenized;  ///< of the same rows, for the loss
  std::vector<double> prices;               ///< of the same rows, in dollars
};

/// Tokenizes the rows and reads their prices.
/// @throws BadInput naming `file` and the row: one that is no prompt with a priced completion
EvaluationData evaluation_data(std::vector<Example> rows, const Tokenizer& tokenizer,
                               const std::string& file);

/// What a model did on a data set.
struct ModelEvaluation {
  Metrics metrics;                       ///< with loss and perplexity on the completions
  std::vector<std::string> completions;  ///< greedy, of each row
};

/// Loss on the completions, and the greedy completion of every prompt (at most eight tokens).
/// @param cap          see answer_cap()
/// @param on_progress  called with the number of rows done
ModelEvaluation evaluate_model(const LlamaModel& model, const Tokenizer& tokenizer,
                               const EvaluationData& data, double cap, std::uint64_t seed,
                               const std::function<void(std::int64_t)>& on_progress = {});

}  // namespace qlora
