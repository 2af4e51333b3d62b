#include "evaluation/answers.h"

#include <algorithm>
#include <atomic>

#include "core/error.h"
#include "core/parallel.h"
#include "llama/adapters.h"
#include "llama/generation.h"
#include "ops/device_memory.h"
#include "training/evaluation_loss.h"

namespace qlora {
namespace {

constexpr std::int64_t kAnswerTokens = 8;
constexpr std::int64_t kLossBatch = 32;

// The longest row, prompt and answer, in tokens.
std::int64_t positions_needed(const EvaluationData& data) {
  std::size_t longest = 0;
  for (const TokenizedExample& e : data.tokenized) longest = std::max(longest, e.input_ids.size());
  return static_cast<std::int64_t>(longest) + kAnswerTokens;
}

}  // namespace

EvaluationData evaluation_data(std::vector<Example> rows, const Tokenizer& tokenizer,
                               const std::string& file) {
  EvaluationData data;
  data.prices = prices_of(rows, file);
  for (const Example& row : rows) data.tokenized.push_back(tokenize_example(row, tokenizer));
  data.rows = std::move(rows);
  return data;
}

ModelEvaluation evaluate_model(const LlamaModel& model, const Tokenizer& tokenizer,
                               const EvaluationData& data, double cap, std::uint64_t seed,
                               const std::function<void(std::int64_t)>& on_progress) {
  // One token at a time, every weight would be dequantized for each: on the CPU here once. The
  // values are the same, and so is every bit of the result.
  LlamaModel dense = model;
  const bool on_cpu = model.device() == Device::cpu;
  if (on_cpu) dequantize_base(dense);
  dense.reserve_positions(std::min(positions_needed(data), dense.config.max_position_embeddings));
  ModelEvaluation out;
  const auto n = static_cast<std::int64_t>(data.rows.size());
  out.completions.resize(data.rows.size());
  std::atomic<std::int64_t> done{0};
  parallel_for(n, on_cpu ? 1 : n, [&](std::int64_t begin, std::int64_t end) {
    LlamaModel own = dense;  // shares the weights
    Arena arena = ops::arena_on(model.device());
    for (std::int64_t i = begin; i < end; ++i) {
      const auto at = static_cast<std::size_t>(i);
      const auto prompt = tokenizer.encode(data.rows[at].prompt);
      const auto ids = generate(own, prompt, kAnswerTokens, {}, arena);
      out.completions[at] = tokenizer.decode(ids);
      const std::int64_t so_far = ++done;
      if (begin == 0 && on_progress) on_progress(so_far);  // one thread speaks
    }
  });
  std::vector<std::optional<double>> answers;
  answers.reserve(out.completions.size());
  for (const std::string& c : out.completions) answers.push_back(read_answer(c, cap));
  out.metrics = measure(answers, data.prices, seed);
  Arena arena = ops::arena_on(model.device());
  out.metrics.loss = evaluation_loss(dense, data.tokenized, kLossBatch, tokenizer.padding(), arena);
  out.metrics.perplexity = perplexity_of(*out.metrics.loss);
  return out;
}

}  // namespace qlora
