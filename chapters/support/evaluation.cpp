#include "support/evaluation.h"

#include <fmt/format.h>

#include <functional>

#include "core/error.h"
#include "course/progress.h"
#include "course/provenance.h"
#include "course/table.h"
#include "ops/device_memory.h"
#include "support/model_options.h"

namespace qlora {

EvaluationData read_evaluation_data(const std::string& path, const Tokenizer& tokenizer) {
  return evaluation_data(read_dataset(path), tokenizer, path);
}

EvaluationData read_any_data(const std::string& path, const std::string& model_folder,
                             const Tokenizer& tokenizer, const LlamaConfig& config,
                             const std::string& date_string) {
  std::vector<Example> rows = read_dataset(path);
  const ChatTemplate chat = template_for(rows, path, model_folder, date_string);
  return any_evaluation_data(std::move(rows), tokenizer, path, config.max_position_embeddings,
                             chat);
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
  progress.finish(data.prices.empty() ? fmt::format("loss {:.3f}", loss)
                                      : fmt::format("loss {:.3f}, mean absolute error ${:.2f}",
                                                    loss, out.metrics.mae));
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

namespace {

std::string number(const std::optional<double>& x) {
  return x ? fmt::format("{:.3f}", *x) : std::string();
}

std::string ends(const Interval& i, int digits) {
  return fmt::format("{:.{}f} to {:.{}f}", i.low, digits, i.high, digits);
}

std::string ends(const std::optional<Interval>& i) {
  return i ? ends(*i, 3) : std::string();
}

// What one of several adapters is called.
std::string alone(std::size_t i) {
  return fmt::format("adapter {} alone", i + 1);
}

// Calls add(words, metrics) for each model, and between(), and for each yardstick.
void for_each_row(const Report& r,
                  const std::function<void(const std::string&, const Metrics&)>& add,
                  const std::function<void()>& between) {
  const auto if_there = [&](const char* words, const std::optional<Metrics>& m) {
    if (m) add(words, *m);
  };
  if_there("base", r.base);
  if_there("tuned", r.tuned);
  for (std::size_t i = 0; i < r.adapters.size(); ++i) {
    add(alone(i) + ": " + r.adapters[i].folder, r.adapters[i].metrics);
  }
  if_there("the same tuning on random weights", r.random_base);
  if (r.base && r.median_predictor) between();
  if_there("always the median", r.median_predictor);
  if_there("always the mean", r.mean_predictor);
  if_there("mean of the category", r.category_mean);
  if_there("nearest neighbor by words", r.nearest_neighbor);
  if_there("noise floor of the price rule", r.noise_floor);
}

std::string in_words(const std::string& name, const Comparison& c) {
  std::string text =
      fmt::format("{} - base, row by row: loss {:+.3f} ({}), lower on {:.0f} % of the rows\n", name,
                  c.loss.value, ends(c.loss.ci95, 3), 100 * c.loss.better);
  if (c.mae) {
    text +=
        fmt::format("    error ${:+.2f} ({}), closer on {:.0f} %, equally close on {:.0f} %\n",
                    c.mae->value, ends(c.mae->ci95, 2), 100 * c.mae->better, 100 * c.mae->equal);
  }
  return text;
}

}  // namespace

std::string report_table(const Report& r) {
  const bool priced = r.no_prices.empty();
  Table table =
      priced
          ? Table({"", "loss", "perplexity", "MAE $", "95 % interval", "within 20 %", "no answer"},
                  "lrrrrrr")
          : Table({"", "loss", "95 % interval", "perplexity", "95 % interval"}, "lrrrr");
  const auto add = [&](const std::string& name, const Metrics& m) {
    if (priced) {
      table.add({name, number(m.loss), number(m.perplexity), fmt::format("{:.2f}", m.mae),
                 ends(m.mae_ci95, 2), fmt::format("{:.1f} %", 100 * m.hit_rate),
                 fmt::format("{}", m.no_answer)});
    } else {
      table.add(
          {name, number(m.loss), ends(m.loss_ci95), number(m.perplexity), ends(m.perplexity_ci95)});
    }
  };
  for_each_row(r, add, [&] { table.rule(); });
  std::string text = table.text();
  if (!priced) text += "no errors in dollars: " + r.no_prices + "\n";
  if (r.comparison) text += "\n" + in_words("tuned", *r.comparison);
  for (std::size_t i = 0; i < r.adapters.size(); ++i) {
    text += in_words(alone(i), r.adapters[i].comparison);
  }
  return text;
}

}  // namespace qlora
