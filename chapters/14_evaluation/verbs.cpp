#include "verbs.h"

#include <fmt/format.h>

#include <chrono>

#include "checkpoint/peft_adapter.h"
#include "core/files.h"
#include "llama/adapters.h"
#include "support/evaluation.h"
#include "text/prices.h"

namespace qlora {
namespace {

constexpr std::size_t kSpoken = 5;

void speak(Report& report, const EvaluationData& data, const ModelEvaluation& base,
           const ModelEvaluation* tuned) {
  for (std::size_t i = 0; i < std::min(kSpoken, data.rows.size()); ++i) {
    report.spoken.push_back({data.rows[i].prompt, data.prices[i], base.completions[i],
                             tuned != nullptr ? tuned->completions[i] : ""});
  }
}

}  // namespace

void run_evaluate(const EvaluateOptions& o) {
  const auto start = std::chrono::steady_clock::now();
  ModelOptions base_only = o.model;
  base_only.adapters.clear();
  LlamaModel model = load(base_only);
  const Tokenizer tokenizer = Tokenizer::load(o.model.model);
  const EvaluationData data = read_evaluation_data(o.data, tokenizer);
  const auto seed = static_cast<std::uint64_t>(o.seed);
  Report report;
  report.seed = seed;
  report.items = static_cast<std::int64_t>(data.rows.size());
  std::vector<double> known = data.prices;
  if (!o.train_data.empty()) {
    const EvaluationData training = read_evaluation_data(o.train_data, tokenizer);
    known = training.prices;
    add_predictors(report, priced_prompts(training), priced_prompts(data), seed);
  }
  const double cap = answer_cap(known);
  std::vector<PeftAdapter> adapters;  // read, and the report's folder made, before minutes of work
  adapters.reserve(o.model.adapters.size());
  for (const std::string& folder : o.model.adapters) adapters.push_back(read_adapter(folder));
  make_folder(o.report);
  const ModelEvaluation base = evaluate_with_progress("base", model, tokenizer, data, cap, seed);
  report.base = base.metrics;
  if (o.model.adapters.empty()) {
    speak(report, data, base, nullptr);
  } else {
    for (const PeftAdapter& adapter : adapters) attach_lora(model, adapter);
    const ModelEvaluation tuned =
        evaluate_with_progress("tuned", model, tokenizer, data, cap, seed);
    report.tuned = tuned.metrics;
    speak(report, data, base, &tuned);
  }
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  add_provenance(report, model, o.command);
  fmt::print("{}", report_table(report));
  write_report(report, o.report);
  if (!o.json.empty()) write_atomically(o.json, report_json(report).dump(2) + "\n");
}

void run_items(const ItemsOptions& o) {
  std::vector<std::string> taken;
  for (const PriceSplit& split : price_splits()) {
    for (const PriceItem& item : draw_price_items(split.seed, split.count)) {
      taken.push_back(item.description);
    }
  }
  std::string text;
  for (const PriceItem& item :
       draw_price_items(static_cast<std::uint64_t>(o.seed), o.count, taken)) {
    text += price_row(item) + "\n";
  }
  write_atomically(o.output, text);
  fmt::print("{} items: {}\n", o.count, o.output);
}

}  // namespace qlora
