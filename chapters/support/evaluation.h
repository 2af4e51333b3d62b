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

/// A data set of any kind for this model: rows are cut to what it has positions for, conversations
/// laid out by its folder's template.
/// @param date_string  the day that the template names; empty: its own
/// @throws BadInput
EvaluationData read_any_data(const std::string& path, const std::string& model_folder,
                             const Tokenizer& tokenizer, const LlamaConfig& config,
                             const std::string& date_string);

/// evaluate_model() under a progress bar.
ModelEvaluation evaluate_with_progress(const std::string& label, const LlamaModel& model,
                                       const Tokenizer& tokenizer, const EvaluationData& data,
                                       double cap, std::uint64_t seed);

/// Fills what describes the machine and the run.
void add_provenance(Report& report, const LlamaModel& base, const std::string& command);

/// The report's figures as a table for the terminal, and what the tuned models changed of the base.
std::string report_table(const Report& report);

}  // namespace qlora
