#include "support/evaluation.h"

#include <fmt/format.h>

#include "course/progress.h"
#include "course/provenance.h"
#include "course/table.h"
#include "ops/device_memory.h"
#include "support/model_options.h"

namespace qlora {

EvaluationData read_evaluation_data(const std::string& path, const Tokenizer& tokenizer) {
  return evaluation_data(read_dataset(path), tokenizer, path);
}

PricedPrompts priced_prompts(const EvaluationData& data) {
  PricedPrompts out;
  out.prices = data.prices;
  for (const Example& row : data.rows) out.prompts.push_back(row.prompt);
  return out;
}

ModelEvaluation evaluate_with_progress(const std::string& label, const LlamaModel& model,
                                       const Tokenizer& tokenizer, const EvaluationData& data,
                                       double cap, std::uint64_t seed) {
  Progress progress(label, static_cast<std::int64_t>(data.rows.size()), "items");
  const ModelEvaluation out = evaluate_model(model, tokenizer, data, cap, seed,
                                             [&](std::int64_t done) { progress.update(done); });
  progress.update(static_cast<std::int64_t>(data.rows.size()));
  // NOLINTNEXTLINE(bugprone-unchecked-optional-access): evaluate_model always measures the loss
  const double loss = *out.metrics.loss;
  progress.finish(fmt::format("loss {:.3f}, mean absolute error ${:.2f}", loss, out.metrics.mae));
  return out;
}

void add_provenance(Report& report, const LlamaModel& base, const std::string& command) {
  const Provenance p = provenance();
  report.commit = p.commit;
  report.build_type = p.build_type;
  report.device = base.device() == Device::cuda ? ops::gpu_name() : p.processor;
  report.threads = p.threads;
  report.base_format = base_format(base);
  report.command = command;
}

std::string report_table(const Report& r) {
  Table table({"", "loss", "perplexity", "MAE $", "95 % interval", "within 20 %", "no answer"},
              "lrrrrrr");
  const auto add = [&](const char* name, const std::optional<Metrics>& m) {
    if (!m) return;
    const auto number = [](const std::optional<double>& x) {
      return x ? fmt::format("{:.3f}", *x) : std::string();
    };
    table.add({name, number(m->loss), number(m->perplexity), fmt::format("{:.2f}", m->mae),
               fmt::format("{:.2f} to {:.2f}", m->mae_ci95.low, m->mae_ci95.high),
               fmt::format("{:.1f} %", 100 * m->hit_rate), fmt::format("{}", m->no_answer)});
  };
  add("base", r.base);
  add("tuned", r.tuned);
  add("the same tuning on random weights", r.random_base);
  if (r.base) table.rule();
  add("always the median", r.median_predictor);
  add("always the mean", r.mean_predictor);
  add("mean of the category", r.category_mean);
  add("nearest neighbour by words", r.nearest_neighbour);
  add("noise floor of the price rule", r.noise_floor);
  return table.text();
}

}  // namespace qlora
