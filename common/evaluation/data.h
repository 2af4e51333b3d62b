// The rows that a model is evaluated on, with or without prices.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "text/examples.h"

namespace qlora {

/// The price of a row: the integer that its completion begins with, behind spaces and a "$".
/// Nothing for a row that is no prompt with a completion, and where there is no such integer above
/// zero.
std::optional<double> price_of(const Example& row);

/// The prices of a data set's rows.
/// @throws BadInput naming `file` and the first row without one
std::vector<double> prices_of(std::span<const Example> rows, const std::string& file);

/// A data set as the evaluation needs it.
struct EvaluationData {
  std::vector<Example> rows;                ///< those that the loss sees
  std::vector<TokenizedExample> tokenized;  ///< of the same rows, for the loss
  std::vector<double> prices;               ///< of the same rows, in dollars; empty: see no_prices
  std::string no_prices;                    ///< why there are none
  ChatTemplate chat;                        ///< that conversations are laid out by
  std::int64_t cut = 0;                     ///< rows that were longer than max_length
  std::int64_t left_out = 0;                ///< rows that the loss sees nothing of
};

/// Tokenizes the rows and reads their prices.
/// @throws BadInput naming `file` and the row: one that is no prompt with a priced completion
EvaluationData evaluation_data(std::vector<Example> rows, const Tokenizer& tokenizer,
                               const std::string& file);

/// The same for rows of any kind: prices are there if every row has one. A row of more tokens than
/// max_length is cut at its end; one without a label that the loss would see is left out.
/// @throws BadInput naming `file`, and the row where a conversation meets no template; if no row is
///         left
EvaluationData any_evaluation_data(std::vector<Example> rows, const Tokenizer& tokenizer,
                                   const std::string& file, std::int64_t max_length,
                                   const ChatTemplate& chat);

/// What a model is asked by a row, and what the row says to that.
struct Question {
  std::string text;               ///< the prompt, or the last thing that the user said
  std::string expected;           ///< the completion, or the assistant's last answer
  std::vector<std::int32_t> ids;  ///< what the answer follows
};

/// The question of row i; nothing for a text, and for a conversation that ends without an answer.
std::optional<Question> question_of(const EvaluationData& data, std::size_t i,
                                    const Tokenizer& tokenizer);

}  // namespace qlora
