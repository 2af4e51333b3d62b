#include "rows.h"

#include <fmt/format.h>

#include "core/error.h"
#include "course/text.h"
#include "text/packing.h"

namespace qlora {
namespace {

// Puts the examples into packed rows, and says how well they fit.
void pack_rows(TokenizedDataset& data, std::int64_t max_length) {
  if (data.examples.empty()) return;
  const auto examples = static_cast<std::int64_t>(data.examples.size());
  data.examples = pack(data.examples, max_length);
  const auto rows = static_cast<std::int64_t>(data.examples.size());
  fmt::print("packed: {} examples in {} rows of up to {} tokens, {:.1f} % full\n",
             grouped(examples), grouped(rows), grouped(max_length),
             100.0 * static_cast<double>(data.tokens) / static_cast<double>(rows * max_length));
}

void check_positions(const TokenizedDataset& data, const LlamaConfig& config,
                     const std::string& path) {
  const std::int64_t positions = positions_in(data.examples);
  if (positions > config.max_position_embeddings) {
    throw BadInput(path, "",
                   fmt::format("a row has {} tokens, the model {} positions: cut rows by "
                               "--max-length",
                               positions, config.max_position_embeddings));
  }
}

// Rows as tokens; says what was cut, what was left out, and what was packed.
TokenizedDataset tokenized(const std::string& path, const Tokenizer& tokenizer,
                           const LlamaConfig& config, const TrainOptions& o) {
  std::vector<Example> rows = read_dataset(path);
  const ChatTemplate chat = template_for(rows, path, o.model.model, o.date_string);
  TokenizedDataset data = tokenize_dataset(rows, tokenizer, o.training.max_length, chat, path);
  check_positions(data, config, path);
  fmt::print("{}: {} rows, {} tokens; {} cut to {} tokens, {} left out (no label left)\n", path,
             grouped(data.rows), grouped(data.tokens), grouped(data.cut), o.training.max_length,
             grouped(data.dropped));
  if (o.training.packing) pack_rows(data, o.training.max_length);
  return data;
}

// Rows of random ids, every position of them supervised: for measuring a shape without a
// checkpoint.
TokenizedDataset random_rows(const LlamaConfig& config, const TrainingOptions& t) {
  const TrainingArguments& a = t.arguments;
  TokenizedDataset data;
  data.rows = a.max_steps * a.per_device_train_batch_size * a.gradient_accumulation_steps;
  const Random random{a.seed, stream_of(0x726f7773)};
  std::uint64_t draw = 0;
  for (std::int64_t i = 0; i < data.rows; ++i) {
    TokenizedExample row;
    for (std::int64_t j = 0; j < t.max_length; ++j) {
      const auto vocabulary = static_cast<std::uint32_t>(config.vocab_size);
      row.input_ids.push_back(static_cast<std::int32_t>(random.below(draw++, vocabulary)));
    }
    row.labels = row.input_ids;
    data.examples.push_back(std::move(row));
  }
  data.tokens = data.rows * t.max_length;
  return data;
}

bool are_random(const TrainOptions& o) {
  return !o.model.random_model.empty() && o.training.data.empty();
}

}  // namespace

void require_rows(const TrainOptions& o) {
  if (are_random(o)) {
    if (o.training.arguments.max_steps <= 0) {
      throw UsageError("--random-model needs --max-steps N");
    }
  } else if (o.training.data.empty()) {
    throw UsageError("--data FILE is needed");
  }
}

Rows rows_of(const TrainOptions& o, const LlamaConfig& config) {
  const TrainingOptions& t = o.training;
  require_rows(o);
  if (are_random(o)) return {random_rows(config, t), {}, 0};
  const Tokenizer tokenizer = tokenizer_of(o.model.model);
  Rows rows{tokenized(t.data, tokenizer, config, o), {}, tokenizer.padding()};
  if (!t.eval_data.empty()) rows.eval = tokenized(t.eval_data, tokenizer, config, o);
  return rows;
}

}  // namespace qlora
