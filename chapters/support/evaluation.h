// What `evaluate` and the main job share: evaluating a model with a progress bar, reporting.
#pragma once

#include <string>

#include "evaluation/answers.h"
#include "evaluation/report.h"

namespace qlora {

/// A data set with prices, read and tokenized.
EvaluationData read_evaluation_data(const std::string& path, const Tokenizer& tokenizer);

/// Prompts and prices of a data set, for the trivial predictors.
PricedPrompts priced_prompts(const EvaluationData& data);

/// evaluate_model() under a progress bar.
ModelEvaluation evaluate_with_progress(const std::string& label, const LlamaModel& model,
                                       const Tokenizer& tokenizer, const EvaluationData& data,
                                       double cap, std::uint64_t seed);

/// Fills what describes the machine and the run.
void add_provenance(Report& report, const LlamaModel& base, const std::string& command);

/// The report's figures as a table for the terminal.
std::string report_table(const Report& report);

}  // namespace qlora
