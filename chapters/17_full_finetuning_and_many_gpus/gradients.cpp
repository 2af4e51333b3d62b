#include "gradients.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "core/random.h"
#include "held_out.h"
#include "llama/adapters.h"
#include "llama/decoder.h"
#include "llama/load.h"
#include "ops/device_memory.h"
#include "support/evaluation.h"
#include "support/model_options.h"
#include "support/price_job.h"
#include "text/batch.h"
#include "training/step_share.h"

namespace qlora::chapter17 {
namespace {

using Rows = std::vector<std::vector<std::int64_t>>;
using Gradient = std::vector<double>;

constexpr std::uint64_t kSeed = 17;

// An adapted model, and the rows of one step.
struct Step {
  LlamaModel model = load_model(data_folder() + "/tiny-llama");
  Tokenizer tokenizer = Tokenizer::load(data_folder() + "/tiny-llama");
  std::vector<Parameter> parameters = attach_lora(model, price_lora(8), kSeed);
  std::vector<TokenizedExample> examples;
  Rows micro_batches{{0, 1}, {4, 5}, {2, 3}, {6, 7}};  // prices, text, prices, text

  Step() {
    const auto prices = read_evaluation_data(data_folder() + "/prices/validation.jsonl", tokenizer);
    const auto old = old_text(tokenizer);
    for (std::size_t i = 0; i < 4; ++i) examples.push_back(prices.tokenized[i]);
    for (std::size_t i = 0; i < 4; ++i) examples.push_back(old[i]);
    model.reserve_positions(positions_in(examples));
    std::uint64_t stream = 0;
    for (const Parameter& p : parameters) {
      ops::fill_normal(p.value, 0.02F, Random{kSeed, ++stream});
    }
  }

  // What one process adds up, each of its micro-batches scaled.
  void add_gradients(const StepShare& share, double scale, Gradient& sum) {
    for (const Parameter& p : parameters) p.grad.zero();
    Arena arena;
    for (const std::int64_t i : share.own) {
      const Batch batch =
          collate(examples, micro_batches[static_cast<std::size_t>(i)], tokenizer.padding());
      loss_backward(model, batch, {{true, kSeed, 0}, ActivationPolicy::keep, scale}, arena);
    }
    std::size_t at = 0;
    for (const Parameter& p : parameters) {
      const auto gradient = p.grad.span<float>();
      sum.resize(std::max(sum.size(), at + gradient.size()));
      for (const float g : gradient) sum[at++] += double{g};
    }
  }
};

double distance(const Gradient& g, const Gradient& from) {
  double squares = 0, length = 0;
  for (std::size_t i = 0; i < from.size(); ++i) {
    squares += (g[i] - from[i]) * (g[i] - from[i]);
    length += from[i] * from[i];
  }
  return std::sqrt(squares / length);
}

}  // namespace

GradientStudy study_gradients() {
  Step step;
  GradientStudy study;
  for (const std::vector<std::int64_t>& rows : step.micro_batches) {
    study.labels.push_back(share_of_step(step.examples, std::span(&rows, 1), 0, 1).supervised);
  }
  Gradient of_one;
  for (const std::int64_t P : {1, 2, 4}) {
    Gradient summed, averaged;
    for (std::int64_t rank = 0; rank < P; ++rank) {
      const StepShare share = share_of_step(step.examples, step.micro_batches, rank, P);
      StepShare own = share;
      own.supervised = 0;
      for (const std::int64_t i : share.own)
        own.supervised += study.labels[static_cast<std::size_t>(i)];
      step.add_gradients(share, gradient_scale(share), summed);
      step.add_gradients(share, gradient_scale(own) / static_cast<double>(P), averaged);
    }
    if (P == 1) of_one = summed;
    study.rows.push_back({P, distance(summed, of_one), distance(averaged, of_one)});
  }
  return study;
}

}  // namespace qlora::chapter17
