// A short run of the trainer over random rows, for its tests.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "core/random.h"
#include "llama/adapters.h"
#include "llama/load.h"
#include "support/device.h"
#include "support/golden.h"
#include "support/matcher.h"
#include "training/trainer.h"

namespace qlora::testing {

/// Rows of different lengths; the first third of each is a prompt.
inline std::vector<TokenizedExample> rows(std::int64_t count) {
  std::vector<TokenizedExample> out;
  const Random random{3, 1};
  std::uint64_t draw = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    TokenizedExample e;
    const auto length = 5 + random.below(draw++, 12);
    for (std::uint32_t t = 0; t < length; ++t) {
      const auto id = static_cast<std::int32_t>(random.below(draw++, 380));
      e.input_ids.push_back(id);
      e.labels.push_back(t < length / 3 ? kIgnoredLabel : id);
    }
    out.push_back(e);
  }
  return out;
}

/// A model in NF4 with fresh adapters, 23 rows, and settings for nine steps.
struct SmallRun {
  LlamaModel model;
  std::vector<TokenizedExample> data = rows(23);
  LoraConfig lora;
  TrainingArguments arguments;

  explicit SmallRun(bool dropout = true, bool dora = false) {
    model = golden_model("llama_nf4/a");
    lora.r = 4;
    lora.lora_dropout = dropout ? 0.1 : 0.0;
    lora.use_dora = dora;
    lora.target_modules = std::string("all-linear");
    attach_lora(model, lora, 5);
    arguments.learning_rate = 1e-2;
    arguments.per_device_train_batch_size = 4;
    arguments.gradient_accumulation_steps = 2;
    arguments.max_steps = 9;
    arguments.logging_steps = 2;
    arguments.save_strategy = SaveStrategy::no;
  }
  TrainingTask task(const std::string& output_dir = "") {
    return {model, adapter_parameters(model), data, {}, 0, arguments, output_dir, {}};
  }
};

/// The loss of every step of a run.
inline std::vector<double> losses_of(SmallRun& s, const std::string& output_dir = "",
                                     const std::optional<std::string>& from = std::nullopt,
                                     std::int64_t stop_after = 1000) {
  std::vector<double> losses;
  TrainingTask task = s.task(output_dir);
  TrainingEvents events;
  std::int64_t step = 0;
  events.on_step = [&](const StepReport& r) {
    losses.push_back(r.loss);
    step = r.step;
  };
  events.stop_signal = [&] { return step >= stop_after ? 2 : 0; };
  train(task, events, from);
  return losses;
}

inline void expect_equal_adapters(const LlamaModel& a, const LlamaModel& b) {
  const auto pa = adapter_parameters(a), pb = adapter_parameters(b);
  for (std::size_t i = 0; i < pa.size(); ++i) {
    EXPECT_TRUE(same_bytes(ops::host_copy(pa[i].value), ops::host_copy(pb[i].value))) << pa[i].name;
  }
}

}  // namespace qlora::testing
