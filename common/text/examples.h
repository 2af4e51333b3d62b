// Rows of a data set as token ids with labels.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "text/chat.h"
#include "text/dataset.h"
#include "text/tokenizer.h"

namespace qlora {

/// The label of a position that is not trained on (torch's ignore_index).
inline constexpr std::int32_t kIgnoredLabel = -100;

/// input_ids and labels are of one length; the loss shifts them. A packed row (text/packing.h) is
/// one too, of several rows of the data, and has position_ids.
struct TokenizedExample {
  std::vector<std::int32_t> input_ids;          ///< BOS first, EOS last
  std::vector<std::int32_t> labels;             ///< input_ids, or kIgnoredLabel
  std::vector<std::int32_t> position_ids = {};  ///< from 0 in each of several; empty: one alone
};

/// What became of the rows of a data set.
struct TokenizedDataset {
  std::vector<TokenizedExample> examples;  ///< in the order of the rows
  std::vector<std::size_t> row_numbers;    ///< which row each of them is, from 0
  std::int64_t rows = 0;                   ///< rows read
  std::int64_t cut = 0;                    ///< rows longer than max_length, cut at their end
  std::int64_t dropped = 0;                ///< rows left without a label that the loss would see
  std::int64_t tokens = 0;                 ///< ids in all examples
};

/// ids = BOS (where the tokenizer has one) + prompt and completion tokenized as one text + EOS;
/// labels = ids, but -100 for as many positions as the prompt alone, with its BOS, has tokens
/// (TRL 1.9, SFTTrainer). A text row and a conversation have every label.
TokenizedExample tokenize_example(const Example& example, const Tokenizer& tokenizer,
                                  const ChatTemplate& chat = {});

/// tokenize_example() of every row, on all threads; cut to max_length, rows without labels left
/// out.
///
/// A text row that begins with BOS by name, "<s>[INST] … [/INST] … </s>", is what a chat template
/// rendered: its ids are those of Tokenizer::encode_rendered(), and EOS where it does not end with
/// one; every one of them has its label.
/// @throws BadInput naming `file` and the row, where a conversation meets no template
TokenizedDataset tokenize_dataset(std::span<const Example> rows, const Tokenizer& tokenizer,
                                  std::int64_t max_length, const ChatTemplate& chat = {},
                                  const std::string& file = "");

/// One more than the largest position of any token: what tables of positions must cover.
std::int64_t positions_in(std::span<const TokenizedExample> examples);

}  // namespace qlora
