#include "text/examples.h"

#include <algorithm>
#include <optional>

#include "core/error.h"
#include "core/parallel.h"

namespace qlora {
namespace {

bool has_label(const TokenizedExample& example) {
  // Position 0 has no position before it that could predict it.
  for (std::size_t t = 1; t < example.labels.size(); ++t) {
    if (example.labels[t] != kIgnoredLabel) return true;
  }
  return false;
}

// A text that names BOS at its beginning has a template's marks: they become ids, and no second BOS
// comes before it.
TokenizedExample rendered(const std::string& text, const Tokenizer& tokenizer) {
  TokenizedExample row;
  row.input_ids = tokenizer.encode_rendered(text);
  const std::optional<std::int32_t> eos = tokenizer.eos_id();
  if (eos && (row.input_ids.empty() || row.input_ids.back() != *eos)) {
    row.input_ids.push_back(*eos);
  }
  row.labels = row.input_ids;
  return row;
}

}  // namespace

std::int64_t positions_in(std::span<const TokenizedExample> examples) {
  std::int64_t positions = 0;
  for (const TokenizedExample& e : examples) {
    const auto tokens = static_cast<std::int64_t>(e.input_ids.size());
    const bool packed = !e.position_ids.empty();
    positions = std::max(positions, packed ? std::ranges::max(e.position_ids) + 1 : tokens);
  }
  return positions;
}

TokenizedDataset tokenize_dataset(std::span<const Example> rows, const Tokenizer& tokenizer,
                                  std::int64_t max_length, const ChatTemplate& chat,
                                  const std::string& file) {
  require(max_length > 0, "tokenize_dataset", "max_length > 0");
  std::vector<TokenizedExample> all(rows.size());
  parallel_for(
      static_cast<std::int64_t>(rows.size()), 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
          const auto row = static_cast<std::size_t>(i);
          const Example& e = rows[row];
          try {
            const bool marked =
                e.kind == Example::Kind::text && tokenizer.begins_with_bos(e.completion);
            all[row] =
                marked ? rendered(e.completion, tokenizer) : tokenize_example(e, tokenizer, chat);
          } catch (const BadInput& problem) {
            throw BadInput(file, place_of(e, row), problem.what());
          }
        }
      });
  TokenizedDataset set;
  set.rows = static_cast<std::int64_t>(rows.size());
  for (std::size_t row = 0; row < all.size(); ++row) {
    TokenizedExample& example = all[row];
    if (static_cast<std::int64_t>(example.input_ids.size()) > max_length) {
      ++set.cut;
      example.input_ids.resize(static_cast<std::size_t>(max_length));
      example.labels.resize(static_cast<std::size_t>(max_length));
    }
    if (!has_label(example)) {
      ++set.dropped;
      continue;
    }
    set.tokens += static_cast<std::int64_t>(example.input_ids.size());
    set.examples.push_back(std::move(example));
    set.row_numbers.push_back(row);
  }
  return set;
}

}  // namespace qlora
