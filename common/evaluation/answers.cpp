#include "evaluation/answers.h"

#include <algorithm>
#include <atomic>

#include "core/error.h"
#include "core/parallel.h"
#include "llama/adapters.h"
#include "llama/generation.h"
#include "ops/device_memory.h"

namespace qlora {
namespace {

constexpr std::int64_t kPriceTokens = 8, kSpokenTokens = 48;
constexpr std::int64_t kLossRows = 32, kLossTokens = 8192;  // of a batch, at most

// The longest row, prompt and answer, in tokens.
std::int64_t positions_needed(const EvaluationData& data, std::int64_t answer) {
  return positions_in(data.tokenized) + answer;
}

bool multiplies_int8(const LlamaModel& model) {
  bool any = false;
  model.for_each_projection(
      [&](const LinearGroup&, const Projection& p) { any = any || p.int8.has_value(); });
  return any;
}

// The greedy completions of the first n rows, as text.
std::vector<std::string> completions_of(const LlamaModel& model, const Tokenizer& tokenizer,
                                        const EvaluationData& data, std::int64_t n,
                                        std::int64_t max_new_tokens,
                                        const std::function<void(std::int64_t)>& on_progress) {
  std::vector<std::string> texts(static_cast<std::size_t>(n));
  std::atomic<std::int64_t> done{0};
  const bool on_cpu = model.device() == Device::cpu;
  parallel_for(n, on_cpu ? 1 : n, [&](std::int64_t begin, std::int64_t end) {
    LlamaModel own = model;  // shares the weights
    Arena arena = ops::arena_on(model.device());
    for (std::int64_t i = begin; i < end; ++i) {
      const auto at = static_cast<std::size_t>(i);
      if (const auto question = question_of(data, at, tokenizer);
          question && !question->ids.empty()) {
        const std::int64_t room =
            own.config.max_position_embeddings - static_cast<std::int64_t>(question->ids.size());
        const std::int64_t tokens = std::clamp<std::int64_t>(room, 0, max_new_tokens);
        if (tokens > 0) {
          texts[at] = tokenizer.decode(generate(own, question->ids, tokens, {}, arena));
        }
      }
      const std::int64_t so_far = ++done;
      if (begin == 0 && on_progress) on_progress(so_far);  // one thread speaks
    }
  });
  return texts;
}

std::vector<double> sums_of(const ModelEvaluation& e) {
  std::vector<double> sums;
  sums.reserve(e.losses.size());
  for (const RowLoss& row : e.losses) sums.push_back(row.sum);
  return sums;
}

std::vector<double> errors_of(const ModelEvaluation& e, const EvaluationData& data) {
  std::vector<double> errors;
  errors.reserve(e.answers.size());
  for (std::size_t i = 0; i < e.answers.size(); ++i) {
    errors.push_back(absolute_error(e.answers[i], data.prices[i]));
  }
  return errors;
}

}  // namespace

ModelEvaluation evaluate_model(const LlamaModel& model, const Tokenizer& tokenizer,
                               const EvaluationData& data, double cap, std::uint64_t seed,
                               const std::function<void(std::int64_t)>& on_progress) {
  // One token at a time, every 4-bit weight would be dequantized for each: on the CPU here once.
  // The values are the same, and so is every bit of the result. LLM.int8() multiplies the codes.
  LlamaModel dense = model;
  if (model.device() == Device::cpu && !multiplies_int8(model)) dequantize_base(dense);
  const bool priced = !data.prices.empty();
  const std::int64_t answer = priced ? kPriceTokens : kSpokenTokens;
  const auto n = static_cast<std::int64_t>(data.rows.size());
  const std::int64_t asked = priced ? n : std::min<std::int64_t>(n, kSpokenRows);
  dense.reserve_positions(
      std::min(positions_needed(data, answer), dense.config.max_position_embeddings));
  ModelEvaluation out;
  out.completions = completions_of(dense, tokenizer, data, asked, answer,
                                   priced ? on_progress : std::function<void(std::int64_t)>());
  if (priced) {
    for (const std::string& c : out.completions) out.answers.push_back(read_answer(c, cap));
    out.metrics = measure(out.answers, data.prices, seed);
  }
  const std::int64_t rows =
      std::clamp<std::int64_t>(kLossTokens / positions_in(data.tokenized), 1, kLossRows);
  Arena arena = ops::arena_on(model.device());
  out.losses = row_losses(dense, data.tokenized, rows, tokenizer.padding(), arena,
                          priced ? std::function<void(std::int64_t)>() : on_progress);
  add_losses(out.metrics, out.losses, seed);
  return out;
}

Comparison compare(const ModelEvaluation& base, const ModelEvaluation& tuned,
                   const EvaluationData& data, std::uint64_t seed) {
  require(base.losses.size() == data.rows.size() && base.answers.size() == data.prices.size() &&
              tuned.answers.size() == data.prices.size(),
          "compare", "two evaluations of this data set");
  std::vector<double> tokens;
  tokens.reserve(base.losses.size());
  for (const RowLoss& row : base.losses) tokens.push_back(static_cast<double>(row.tokens));
  Comparison c;
  c.loss = paired_difference(sums_of(base), sums_of(tuned), tokens, seed);
  if (!data.prices.empty()) {
    c.mae = paired_difference(errors_of(base, data), errors_of(tuned, data), seed);
  }
  return c;
}

}  // namespace qlora
