#include "main_job.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>

#include "core/files.h"
#include "course/provenance.h"
#include "course/text.h"
#include "llama/adapters.h"
#include "support/evaluation.h"
#include "support/price_job.h"
#include "text/prices.h"
#include "train.h"

namespace qlora {
namespace {

namespace fs = std::filesystem;

// Attaches fresh adapters to every linear layer and trains them.
TrainingResult tune(LlamaModel& model, const MainJobOptions& o, const PriceData& data,
                    const std::string& output_dir) {
  LoraConfig lora = price_lora(o.run.r);
  if (!o.model.empty()) lora.base_model_name_or_path = o.model;
  attach_lora(model, lora, static_cast<std::uint64_t>(o.run.seed));
  TrainingTask task{model,
                    adapter_parameters(model),
                    data.train.tokenized,
                    {},
                    data.tokenizer.padding(),
                    price_arguments(o.run),
                    output_dir,
                    {}};
  return train_with_progress(task, lora, std::nullopt);
}

void say_items(const Report& report) {
  fmt::print("\nItems of the test set, read aloud:\n");
  for (const SpokenItem& item : report.spoken) {
    fmt::print("  {}\n    price ${:.0f}; base: \"{}\"; tuned: \"{}\"\n",
               price_description(item.prompt), item.price, item.base, item.tuned);
  }
}

// NOLINTBEGIN(bugprone-unchecked-optional-access): the main job measures what is not asked for here
void say_verdict(const Report& r) {
  const auto below = [](double a, double b) { return 100 * (1 - a / b); };
  const Metrics& tuned = *r.tuned;
  fmt::print(
      "\nThe tuned model's mean absolute error is {:.0f} % below always answering the median;\n"
      "its loss on the answer is {:.0f} % below the base's.\n",
      below(tuned.mae, r.median_predictor->mae), below(*tuned.loss, *r.base->loss));
  if (r.category_mean) {
    fmt::print("Against the mean of the category: {:.0f} % below.\n",
               below(tuned.mae, r.category_mean->mae));
  }
  const double neighbor = r.nearest_neighbor->mae;
  fmt::print("Nearest neighbor by words: ${:.2f}, which {}.\n", neighbor,
             neighbor < tuned.mae ? "wins" : "the tuned model beats");
  if (r.noise_floor) {
    fmt::print("The noise floor is ${:.2f}: ${:.2f} are left.\n", r.noise_floor->mae,
               tuned.mae - r.noise_floor->mae);
  }
  if (r.random_base) {
    fmt::print(
        "The same tuning on random weights: ${:.2f}; what the base had learned is worth "
        "{:.0f} %.\n",
        r.random_base->mae, below(tuned.mae, r.random_base->mae));
  }
}
// NOLINTEND(bugprone-unchecked-optional-access)

}  // namespace

MainJobResult run_main_job(const MainJobOptions& o) {
  const auto start = std::chrono::steady_clock::now();
  const std::string folder = o.model.empty() ? data_folder() + "/tiny-llama" : o.model;
  const auto seed = static_cast<std::uint64_t>(o.run.seed);
  fmt::print("{}\n", one_line(provenance()));
  make_folder(o.output_dir);
  LoadOptions nf4{QuantType::nf4, true, false};
  nf4.placement = placement_of(o.run);
  LlamaModel model = load_model(folder, nf4);
  const PriceData data = read_price_data(folder, o.test_data, o.run.test_items);
  fmt::print("{}: {} parameters, decoder in {}\n{} training items, {} test items\n",
             o.model.empty() ? "tiny-llama" : o.model, grouped(model.config.parameter_count()),
             base_format(model), grouped(static_cast<std::int64_t>(data.train.rows.size())),
             data.test.rows.size());

  MainJobResult done;
  Report& report = done.report;
  report.seed = seed;
  report.items = static_cast<std::int64_t>(data.test.rows.size());
  add_predictors(report, priced_prompts(data.train), priced_prompts(data.test), seed);
  const auto evaluate = [&](const char* label, const LlamaModel& m) {
    return evaluate_with_progress(label, m, data.tokenizer, data.test, data.cap, seed);
  };
  const ModelEvaluation base = evaluate("base", model);
  const TrainingResult result = tune(model, o, data, o.output_dir);
  done.log_history = result.state.log_history;
  done.stopped_by = result.stopped_by;
  if (result.stopped_by != 0) return done;
  const ModelEvaluation tuned = evaluate("tuned", model);
  report.base = base.metrics;
  report.tuned = tuned.metrics;
  report.comparison = compare(base, tuned, data.test, seed);
  if (o.with_random_base) {
    LlamaModel random = random_model(model.config, seed);
    quantize_base(random, QuantType::nf4, true, DType::bf16);
    random = placed(nf4.placement, random);
    const std::string beside = (fs::path(o.output_dir) / "random-base").string();
    done.stopped_by = tune(random, o, data, beside).stopped_by;
    if (done.stopped_by != 0) return done;
    report.random_base = evaluate("random", random).metrics;
  }
  for (std::size_t i = 0; i < std::min(kSpokenRows, data.test.rows.size()); ++i) {
    report.spoken.push_back(
        {data.test.rows[i].prompt, data.test.prices[i], base.completions[i], tuned.completions[i]});
  }
  report.tokens = result.tokens;
  report.tokens_per_second = static_cast<double>(result.tokens) / result.seconds;
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  add_provenance(report, model, o.command);
  write_report(report, o.output_dir);
  fmt::print("\n{}", report_table(report));
  say_verdict(report);
  say_items(report);
  fmt::print(
      "\n{} tokens at {:.0f} tokens/s; {:.0f} s in all.\nWritten to {}: report.md, report.json, "
      "loss.svg, the adapter.\n",
      grouped(report.tokens), report.tokens_per_second, report.seconds, o.output_dir);
  return done;
}

}  // namespace qlora
