#include "experiments.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <numeric>

#include "llama/adapters.h"
#include "llama/decoder.h"
#include "llama/load.h"
#include "lora/lora.h"
#include "text/packing.h"
#include "training/trainer.h"

namespace qlora::chapter10 {
namespace {

constexpr const char* kModel = QLORA_DATA_DIR "/tiny-llama";

// The first rows of the price data, tokenized.
std::vector<TokenizedExample> price_rows(std::size_t count) {
  std::vector<Example> rows = read_dataset(QLORA_DATA_DIR "/prices/validation.jsonl");
  rows.resize(std::min(rows.size(), count));
  return tokenize_dataset(rows, Tokenizer::load(kModel), 256).examples;
}

// The embedded model in NF4 with adapters on all linears; B is small and not zero, so that A has a
// gradient too.
LlamaModel model_with_adapters(std::int64_t r) {
  LoadOptions options;
  options.quantize = QuantType::nf4;
  options.double_quant = true;
  LlamaModel model = load_model(kModel, options);
  LoraConfig lora;
  lora.r = r;
  lora.lora_alpha = 2.0 * static_cast<double>(r);
  lora.target_modules = std::string("all-linear");
  attach_lora(model, lora, 1);
  std::uint64_t stream = 0;
  for (const Parameter& p : adapter_parameters(model)) {
    const Random random{10, ++stream};
    if (p.name.find("lora_B") == std::string::npos) continue;
    for (std::int64_t i = 0; i < p.value.numel(); ++i) {
      p.value.data<float>()[i] = 0.01f * random.normal(static_cast<std::uint64_t>(i));
    }
  }
  return model;
}

void zero_gradients(const LlamaModel& model) {
  for (const Parameter& p : adapter_parameters(model)) p.grad.zero();
}

// All gradients as one list.
std::vector<float> gradients(const LlamaModel& model) {
  std::vector<float> all;
  for (const Parameter& p : adapter_parameters(model)) {
    const auto values = p.grad.span<float>();
    all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}

double length(const std::vector<float>& x) {
  double sum = 0;
  for (const float value : x) sum += double{value} * double{value};
  return std::sqrt(sum);
}

double relative_difference(std::vector<float> a, const std::vector<float>& b) {
  for (std::size_t i = 0; i < a.size(); ++i) a[i] -= b[i];
  return length(a) / length(b);
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

std::vector<std::int64_t> all_rows(std::size_t count) {
  std::vector<std::int64_t> rows(count);
  std::iota(rows.begin(), rows.end(), 0);
  return rows;
}

}  // namespace

std::vector<AccumulationRow> accumulation() {
  LlamaModel model = model_with_adapters(8);
  std::vector<TokenizedExample> data = price_rows(4);
  // Completions of one length would hide what this is about: two rows are trained on as a whole.
  for (TokenizedExample& e : std::span(data).first(2)) e.labels = e.input_ids;
  model.reserve_positions(positions_in(data));
  Arena arena;
  double supervised = 0, loss = 0;
  const auto pass = [&](const std::vector<std::int64_t>& rows, double divisor) {
    const Batch batch = collate(data, rows, 0);
    const auto own = static_cast<double>(batch.supervised);
    const double scale = 1.0 / (divisor > 0 ? divisor : own * static_cast<double>(data.size()));
    loss += scale * loss_backward(model, batch, {{}, ActivationPolicy::keep, scale}, arena);
  };
  const std::vector<std::int64_t> rows = all_rows(data.size());
  supervised = static_cast<double>(collate(data, rows, 0).supervised);

  std::vector<AccumulationRow> out;
  std::vector<float> whole;
  const auto add = [&](const char* name) {
    const std::vector<float> all = gradients(model);
    if (out.empty()) whole = all;
    out.push_back({name, loss, relative_difference(all, whole)});
    zero_gradients(model);
    loss = 0;
  };
  zero_gradients(model);
  pass(rows, supervised);
  add("one batch of 4");
  // [window]
  for (const std::int64_t row : rows) pass({row}, supervised);
  // [/window]
  add("4 of 1, divided by all labels");
  for (const std::int64_t row : rows) pass({row}, 0);
  add("4 of 1, mean of the means");
  return out;
}

std::vector<PolicyRow> policies() {
  LlamaModel model = model_with_adapters(16);
  const std::vector<TokenizedExample> data = pack(price_rows(60), 64);
  const Batch batch = collate(data, all_rows(16), 0);
  model.reserve_positions(positions_in(batch));
  std::vector<PolicyRow> out;
  std::vector<float> kept;
  for (const ActivationPolicy policy :
       {ActivationPolicy::keep, ActivationPolicy::lean, ActivationPolicy::checkpoint}) {
    PolicyRow row{policy, 0, 1e9, false};
    Arena arena;
    for (int run = 0; run < 2; ++run) {
      zero_gradients(model);
      const auto start = std::chrono::steady_clock::now();
      loss_backward(model, batch, {{}, policy, 1.0}, arena);
      row.seconds = std::min(row.seconds, seconds_since(start));
    }
    row.peak = arena.peak_bytes();
    const std::vector<float> all = gradients(model);
    if (kept.empty()) kept = all;
    row.same_bits = std::memcmp(all.data(), kept.data(), all.size() * sizeof(float)) == 0;
    out.push_back(row);
  }
  return out;
}

std::vector<OptimizerRun> optimizers() {
  const std::vector<TokenizedExample> data = price_rows(80);
  std::vector<OptimizerRun> out;
  for (const Optim optim : {Optim::adamw_torch, Optim::adamw_8bit}) {
    LlamaModel model = model_with_adapters(32);
    TrainingArguments arguments;
    arguments.optim = optim;
    arguments.learning_rate = 2e-3;
    arguments.per_device_train_batch_size = 4;
    arguments.max_steps = 20;
    arguments.save_strategy = SaveStrategy::no;
    OptimizerRun run{optim == Optim::adamw_torch ? "adamw_torch" : "adamw_8bit", 0, {}};
    const AdamW fresh(adapter_parameters(model), arguments);
    for (const auto& [name, tensor] : fresh.state()) {
      if (name.ends_with(".weight")) continue;  // the parameter itself
      run.bytes += static_cast<std::int64_t>(tensor.nbytes());
    }
    TrainingTask task{model, adapter_parameters(model), data, {}, 0, arguments, "", {}};
    TrainingEvents events;
    events.on_step = [&](const StepReport& report) { run.losses.push_back(report.loss); };
    train(task, events);
    out.push_back(std::move(run));
  }
  return out;
}

DropoutRow dropout(double p) {
  constexpr std::int64_t T = 100000;
  const std::vector<float> ones(T, 1.0f);
  std::vector<float> scratch(T), kept(T), y(T);
  const float one = 1.0f;
  // An adapter of one in-feature with A = 1: what it calls u is its input behind the dropout.
  lora_forward<float>({1, 1, 1, &one, &one, 1.0f}, T, ones.data(),
                      {static_cast<float>(p), Random{10, 1}}, scratch.data(), kept.data(), y.data(),
                      1);
  DropoutRow row;
  row.dropped = static_cast<double>(std::ranges::count(kept, 0.0f)) / T;
  row.factor = *std::ranges::max_element(kept);
  row.mean = std::accumulate(kept.begin(), kept.end(), 0.0) / T;
  return row;
}

}  // namespace qlora::chapter10
