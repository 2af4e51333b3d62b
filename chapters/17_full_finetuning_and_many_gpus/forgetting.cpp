#include "forgetting.h"

#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <limits>

#include "core/error.h"
#include "course/svg.h"
#include "held_out.h"
#include "llama/adapters.h"
#include "llama/load.h"
#include "ops/device_memory.h"
#include "support/model_options.h"
#include "support/price_job.h"
#include "training/evaluation_loss.h"

namespace qlora::chapter17 {
namespace {

constexpr const char* kOldLoss = "old text, loss";
constexpr const char* kPriceLoss = "test loss";

enum class Way { none, full, lora, qlora };

// What distinguishes a variant.
struct Setting {
  Way way;
  std::int64_t r;
  double learning_rate;
};

std::string group_of(const Setting& s) {
  switch (s.way) {
    case Way::none:
      return "before";
    case Way::full:
      return "full";
    case Way::lora:
      return fmt::format("LoRA r={}", s.r);
    case Way::qlora:
      return fmt::format("QLoRA r={}", s.r);
  }
  return "";
}

std::string name_of(const Setting& s) {
  return s.way == Way::none ? group_of(s) : fmt::format("{}, {:g}", group_of(s), s.learning_rate);
}

std::vector<Setting> settings() {
  std::vector<Setting> all{{Way::none, 0, 0}};
  for (const double rate : {1e-4, 3e-4, 1e-3, 3e-3}) all.push_back({Way::full, 0, rate});
  for (const std::int64_t r : {2, 8, 32}) {
    for (const double rate : {5e-4, 2e-3, 5e-3}) all.push_back({Way::lora, r, rate});
  }
  all.push_back({Way::qlora, 32, 2e-3});
  return all;
}

// What all runs share.
struct Job {
  ForgettingOptions options;
  std::string model_folder = data_folder() + "/tiny-llama";
  PriceData prices = read_price_data(model_folder, options.test_data);
  std::vector<TokenizedExample> old = old_text(prices.tokenizer);

  explicit Job(const ForgettingOptions& o) : options(o) {}
};

Placement where_of(const ForgettingOptions& o) {
  PriceRun run;
  run.device = o.device;
  run.dtype = "float32";
  return placement_of(run);
}

LlamaModel loaded(const Job& job, Way way) {
  LoadOptions options;
  options.placement = where_of(job.options);
  if (way == Way::qlora) {
    options.quantize = QuantType::nf4;
    options.double_quant = true;
  }
  return load_model(job.model_folder, options);
}

// @return whether the loss stayed finite
bool tune(const Job& job, const Setting& s, LlamaModel& model, std::uint64_t seed) {
  if (s.way == Way::none) return true;
  PriceRun run;
  run.items = job.options.items;
  run.batch_size = job.options.batch_size;
  run.learning_rate = s.learning_rate;
  run.seed = static_cast<std::int64_t>(seed);
  auto parameters =
      s.way == Way::full ? enable_full_training(model) : attach_lora(model, price_lora(s.r), seed);
  return tune_on_prices(name_of(s), model, std::move(parameters), price_arguments(run), job.prices);
}

double loss_on_old_text(const Job& job, LlamaModel& model) {
  model.reserve_positions(positions_in(job.old));
  Arena arena = ops::arena_on(model.device());
  return evaluation_loss(model, job.old, 16, job.prices.tokenizer.padding(), arena);
}

std::vector<Figure> measured(const Job& job, const Setting& s, std::uint64_t seed) {
  LlamaModel model = loaded(job, s.way);
  const bool tuned = tune(job, s, model, seed);  // not where this learning rate is too high
  std::vector<Figure> figures{{kOldLoss, tuned ? loss_on_old_text(job, model) : std::nan("")}};
  for (Figure& f : price_figures(name_of(s), model, job.prices, seed, tuned)) {
    figures.push_back(std::move(f));
  }
  return figures;
}

double mean_of(const Json& variant, const char* figure) {
  const Json* mean = variant.at("figures").at(figure).find("mean");
  return mean == nullptr ? std::nan("") : mean->as_number();
}

// A point a variant, a color a way: right is worse on the old text, up is worse on prices. Where
// the old text was before tuning stands a line.
void draw_tradeoff(const std::string& path, const Json& results) {
  LineChart chart{"What tuning on prices costs on the old text",
                  "loss on old text (nats a token)",
                  "loss on prices (nats a token)",
                  true,
                  false,
                  {}};
  const std::vector<Setting> all = settings();
  double least = std::numeric_limits<double>::infinity(), most = 0;
  for (std::size_t i = 1; i < all.size(); ++i) {
    const std::string group = group_of(all[i]);
    if (chart.series.empty() || chart.series.back().name != group) {
      chart.series.push_back({group, {}, {}, true, false});
    }
    const Json& variant = results.at("variants").at(i);
    const double prices = mean_of(variant, kPriceLoss);
    chart.series.back().x.push_back(mean_of(variant, kOldLoss));
    chart.series.back().y.push_back(prices);
    least = std::fmin(least, prices);
    most = std::fmax(most, prices);
  }
  const double before = mean_of(results.at("variants").at(std::size_t{0}), kOldLoss);
  chart.series.push_back({"before", {before, before}, {least, most}, false, true});
  write_svg(path, chart);
}

}  // namespace

void add_forgetting_options(Options& verb, ForgettingOptions& o) {
  add_experiment_options(verb, o.experiment);
  verb.add("--device", o.device, "where to compute").choices({"auto", "cpu", "cuda"});
  verb.add("--items", o.items, "training items that each run sees").at_least(1);
  verb.add("--batch-size", o.batch_size, "items a step").at_least(1);
  verb.add("--test-data", o.test_data, "other test items (ch14_evaluation items)")
      .value_name("FILE");
}

void run_forgetting(const ForgettingOptions& o) {
  const Job job(o);
  Experiment e;
  e.name = "forgetting";
  e.question = "What does tuning on prices cost on the old text?";
  e.settings = Json::object();
  e.settings["items"] = o.items;
  e.settings["batch_size"] = o.batch_size;
  e.settings["device"] = where_of(o).device == Device::cuda ? "cuda" : "cpu";
  e.settings["old_text_blocks"] = static_cast<std::int64_t>(job.old.size());
  e.settings["test_items"] = static_cast<std::int64_t>(job.prices.test.rows.size());
  for (const Setting& s : settings()) {
    e.variants.push_back(
        {name_of(s), [&job, s](std::uint64_t seed) { return measured(job, s, seed); }});
  }
  const Json results = run_experiment(e, o.experiment);
  const std::string folder = experiment_folder(o.experiment, e.name);
  draw_tradeoff((std::filesystem::path(folder) / "forgetting-tradeoff.svg").string(), results);
}

}  // namespace qlora::chapter17
