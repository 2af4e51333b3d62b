#include "support/price_job.h"

#include <fmt/format.h>

#include <cmath>

#include "core/error.h"
#include "course/progress.h"
#include "support/evaluation.h"
#include "support/model_options.h"

namespace qlora {
namespace {

void keep_first(EvaluationData& data, std::int64_t count) {
  const auto n = static_cast<std::size_t>(count);
  if (n == 0 || n >= data.rows.size()) return;
  data.rows.resize(n);
  data.tokenized.resize(n);
  data.prices.resize(n);
}

}  // namespace

PriceData read_price_data(const std::string& model_folder, const std::string& test_data,
                          std::int64_t test_items) {
  const std::string folder = data_folder() + "/prices/";
  PriceData d{tokenizer_of(model_folder), {}, {}, 0};
  d.train = read_evaluation_data(folder + "train.jsonl", d.tokenizer);
  d.test = read_evaluation_data(test_data.empty() ? folder + "test.jsonl" : test_data, d.tokenizer);
  d.cap = answer_cap(d.train.prices);
  keep_first(d.test, test_items);
  return d;
}

void add_price_options(Options& options, PriceRun& run, std::string_view except) {
  options.add("--device", run.device, "where to compute").choices({"auto", "cpu", "cuda"});
  options.add("--dtype", run.dtype, "arithmetic; default: bfloat16 on a GPU that has it")
      .choices({"float32", "float16", "bfloat16"});
  options.add("--items", run.items, "training items to see").at_least(1);
  options.add("--test-items", run.test_items, "test items to measure, the first ones; 0: all")
      .at_least(0);
  if (except != "--learning-rate") {
    options.add("--learning-rate", run.learning_rate, "at its peak");
  }
  if (except != "--r") options.add("--r", run.r, "rank of the adapters").at_least(1);
  options.add("--batch-size", run.batch_size, "items a step").at_least(1);
}

Placement placement_of(const PriceRun& run) {
  ModelOptions where;
  where.device = run.device;
  where.dtype = run.dtype;
  return placement_of(where);
}

TrainingArguments price_arguments(const PriceRun& run) {
  TrainingArguments a;
  a.learning_rate = run.learning_rate;
  a.lr_scheduler_type = LrScheduler::cosine;
  a.warmup_steps = 0.03;
  a.per_device_train_batch_size = run.batch_size;
  a.max_steps = (run.items + run.batch_size - 1) / run.batch_size;
  a.group_by_length = true;
  a.logging_steps = 25;
  a.save_strategy = SaveStrategy::no;
  a.seed = static_cast<std::uint64_t>(run.seed);
  return a;
}

LoraConfig price_lora(std::int64_t r) {
  // [adapters]
  LoraConfig lora;
  lora.r = r;
  lora.lora_alpha = 2.0 * static_cast<double>(r);
  lora.target_modules = std::string("all-linear");
  // [/adapters]
  lora.base_model_name_or_path = "tiny-llama";
  lora.task_type = "CAUSAL_LM";
  return lora;
}

bool tune_on_prices(const std::string& label, LlamaModel& model, std::vector<Parameter> parameters,
                    const TrainingArguments& arguments, const PriceData& data) try {
  TrainingTask task{model,
                    std::move(parameters),
                    data.train.tokenized,
                    {},
                    data.tokenizer.padding(),
                    arguments,
                    "",
                    {}};
  Progress progress(label, arguments.max_steps, "steps");
  TrainingEvents events;
  events.on_step = [&](const StepReport& r) {
    progress.update(r.step, [&] { return fmt::format("loss {:.4f}", r.loss); });
  };
  train(task, events);
  progress.finish();
  return true;
} catch (const Error& e) {
  if (e.code() != ExitCode::check_failed) throw;
  fmt::print(stderr, "{}: {}\n", label, e.what());
  return false;
}

// NOLINTBEGIN(bugprone-unchecked-optional-access): evaluate_model always measures the loss
std::vector<Figure> price_figures(const std::string& label, const LlamaModel& model,
                                  const PriceData& data, std::uint64_t seed, bool tuned) {
  constexpr const char *kLoss = "test loss", *kError = "MAE $", *kHits = "within 20 % (%)";
  if (!tuned) return {{kLoss, std::nan("")}, {kError, std::nan("")}, {kHits, std::nan("")}};
  const Metrics m =
      evaluate_with_progress(label, model, data.tokenizer, data.test, data.cap, seed).metrics;
  return {{kLoss, *m.loss}, {kError, m.mae}, {kHits, 100 * m.hit_rate}};
}
// NOLINTEND(bugprone-unchecked-optional-access)

}  // namespace qlora
