#include "verbs.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <span>
#include <utility>

#include "checkpoint/peft_adapter.h"
#include "core/files.h"
#include "course/provenance.h"
#include "course/text.h"
#include "llama/adapters.h"
#include "support/evaluation.h"
#include "text/prices.h"
#include "training/step_share.h"

namespace qlora {
namespace {

// The rows of a run, and what is known before a model is asked.
struct Task {
  Tokenizer tokenizer;
  EvaluationData data;
  double cap = 0.0;  // of an answer in dollars
};

void say_rows(const EvaluateOptions& o, const EvaluationData& data) {
  std::int64_t tokens = 0, supervised = 0;
  for (const TokenizedExample& e : data.tokenized) {
    tokens += static_cast<std::int64_t>(e.input_ids.size());
    supervised += supervised_labels(e);
  }
  fmt::print(
      "{}: {} rows, {} tokens, {} of them with a label; {} cut, {} left out (no label left)\n",
      o.data, grouped(static_cast<std::int64_t>(data.rows.size())), grouped(tokens),
      grouped(supervised), grouped(data.cut), grouped(data.left_out));
}

Task read_task(const EvaluateOptions& o, Tokenizer tokenizer, const LlamaConfig& config,
               Report& report) {
  Task task{std::move(tokenizer), {}, 0.0};
  EvaluationData& data = task.data;
  data = read_any_data(o.data, o.model.model, task.tokenizer, config, o.date_string);
  report.items = static_cast<std::int64_t>(data.rows.size());
  report.no_prices = data.no_prices;
  say_rows(o, data);
  if (!o.train_data.empty()) {
    if (!data.no_prices.empty()) {
      throw BadInput(o.data, "", data.no_prices + ": --train-data compares prices");
    }
    const EvaluationData training = read_evaluation_data(o.train_data, task.tokenizer);
    add_predictors(report, priced_prompts(training), priced_prompts(data), report.seed);
    task.cap = answer_cap(training.prices);
  } else if (!data.prices.empty()) {
    task.cap = answer_cap(data.prices);
  }
  return task;
}

std::vector<SpokenItem> read_aloud(const Task& task, const ModelEvaluation& base,
                                   const ModelEvaluation* tuned) {
  std::vector<SpokenItem> items;
  for (std::size_t i = 0; i < std::min(kSpokenRows, task.data.rows.size()); ++i) {
    const auto question = question_of(task.data, i, task.tokenizer);
    if (!question) continue;
    const double price = task.data.prices.empty() ? 0.0 : task.data.prices[i];
    items.push_back({question->text, price, base.completions[i],
                     tuned != nullptr ? tuned->completions[i] : "", question->expected});
  }
  return items;
}

// Every model after the other: the base, all adapters together, and of several each alone.
void measure_models(const LlamaModel& base, const std::vector<std::string>& folders,
                    const std::vector<PeftAdapter>& adapters, const Task& task, Report& report) {
  const auto evaluate = [&](const std::string& label, std::span<const PeftAdapter> with) {
    LlamaModel model = base;  // shares the weights
    for (const PeftAdapter& adapter : with) attach_lora(model, adapter);
    return evaluate_with_progress(label, model, task.tokenizer, task.data, task.cap, report.seed);
  };
  const ModelEvaluation without = evaluate("base", {});
  report.base = without.metrics;
  std::optional<ModelEvaluation> tuned;
  if (!adapters.empty()) {
    tuned = evaluate("tuned", adapters);
    report.tuned = tuned->metrics;
    report.comparison = compare(without, *tuned, task.data, report.seed);
  }
  for (std::size_t i = 0; adapters.size() > 1 && i < adapters.size(); ++i) {
    const ModelEvaluation alone = evaluate("alone", std::span(&adapters[i], 1));
    report.adapters.push_back(
        {folders[i], alone.metrics, compare(without, alone, task.data, report.seed)});
  }
  report.spoken = read_aloud(task, without, tuned ? &*tuned : nullptr);
  const auto models = static_cast<std::int64_t>(1 + (tuned ? 1 : 0) + report.adapters.size());
  for (const TokenizedExample& e : task.data.tokenized) {
    report.tokens += models * static_cast<std::int64_t>(e.input_ids.size());
  }
}

}  // namespace

void run_evaluate(const EvaluateOptions& o) {
  const auto start = std::chrono::steady_clock::now();
  ModelOptions base_only = o.model;
  base_only.adapters.clear();
  Tokenizer tokenizer = tokenizer_of(o.model.model);
  const LlamaModel model = load(base_only);
  Report report;
  report.seed = static_cast<std::uint64_t>(o.seed);
  const Task task = read_task(o, std::move(tokenizer), model.config, report);
  std::vector<PeftAdapter> adapters;  // read, and the report's folder made, before minutes of work
  adapters.reserve(o.model.adapters.size());
  for (const std::string& folder : o.model.adapters) adapters.push_back(read_adapter(folder));
  make_folder(o.report);
  measure_models(model, o.model.adapters, adapters, task, report);
  for (const PeftAdapter& adapter : adapters) note_other_base(adapter, o.model.model);
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  report.tokens_per_second = static_cast<double>(report.tokens) / report.seconds;
  add_provenance(report, model, o.command);
  fmt::print("{}", report_table(report));
  write_report(report, o.report);
  fmt::print("report.md, report.json: {}\n", o.report);
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
  Json j = Json::object();
  j["verb"] = "items";
  j["seed"] = o.seed;
  j["items"] = o.count;
  j["output"] = o.output;
  write_results(o.json, std::move(j));
}

}  // namespace qlora
