#include "evaluation/data.h"

#include <algorithm>
#include <limits>

#include "core/error.h"
#include "evaluation/metrics.h"

namespace qlora {

std::optional<double> price_of(const Example& row) {
  constexpr double kLargest = 1e12;
  if (row.kind != Example::Kind::prompt_completion) return std::nullopt;
  const std::size_t first = row.completion.find_first_not_of(" $");
  if (first == std::string::npos || row.completion[first] < '0' || row.completion[first] > '9') {
    return std::nullopt;
  }
  const auto price = read_answer(row.completion, kLargest);
  return price && *price > 0.0 ? price : std::nullopt;
}

std::vector<double> prices_of(std::span<const Example> rows, const std::string& file) {
  std::vector<double> prices;
  for (const Example& row : rows) {
    const auto price = price_of(row);
    if (!price) {
      throw BadInput(file, place_of(row, prices.size()),
                     "no price, expected \"prompt\" and \"completion\" with whole dollars");
    }
    prices.push_back(*price);
  }
  return prices;
}

EvaluationData evaluation_data(std::vector<Example> rows, const Tokenizer& tokenizer,
                               const std::string& file) {
  prices_of(rows, file);  // every row has one, or this throws
  return any_evaluation_data(std::move(rows), tokenizer, file,
                             std::numeric_limits<std::int64_t>::max(), {});
}

EvaluationData any_evaluation_data(std::vector<Example> rows, const Tokenizer& tokenizer,
                                   const std::string& file, std::int64_t max_length,
                                   const ChatTemplate& chat) {
  TokenizedDataset tokens = tokenize_dataset(rows, tokenizer, max_length, chat, file);
  if (tokens.examples.empty()) throw BadInput(file, "", "no row has a token that the loss sees");
  EvaluationData data;
  data.chat = chat;
  data.cut = tokens.cut;
  data.left_out = tokens.dropped;
  data.tokenized = std::move(tokens.examples);
  for (const std::size_t i : tokens.row_numbers) {
    const auto price = price_of(rows[i]);
    if (!price && data.no_prices.empty()) {
      data.no_prices = place_of(rows[i], i) + " is no prompt with a price as its completion";
    }
    data.prices.push_back(price.value_or(0.0));
    data.rows.push_back(std::move(rows[i]));
  }
  if (!data.no_prices.empty()) data.prices.clear();
  return data;
}

std::optional<Question> question_of(const EvaluationData& data, std::size_t i,
                                    const Tokenizer& tokenizer) {
  const Example& row = data.rows[i];
  if (row.kind == Example::Kind::prompt_completion) {
    return Question{row.prompt, row.completion, tokenizer.encode(row.prompt)};
  }
  const std::span<const Message> said(row.messages);
  if (said.size() < 2 || said.back().role != "assistant") return std::nullopt;
  const auto before = said.first(said.size() - 1);
  return Question{before.back().content, said.back().content,
                  encode_chat(data.chat, tokenizer, before, true)};
}

}  // namespace qlora
