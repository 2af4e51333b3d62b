// The main job's parts, for the experiments too: the price items, and a tuning on them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "course/experiment.h"
#include "course/options.h"
#include "evaluation/answers.h"
#include "llama/placement.h"
#include "lora/config.h"
#include "text/tokenizer.h"
#include "training/trainer.h"

namespace qlora {

/// The price items as a model takes them.
struct PriceData {
  Tokenizer tokenizer;   ///< the model's own
  EvaluationData train;  ///< to learn from
  EvaluationData test;   ///< held out
  double cap = 0;        ///< of an answer (evaluation/metrics.h)
};

/// data/prices for a model folder's tokenizer.
/// @param test_data   JSONL that stands for the embedded test items; empty: those
/// @param test_items  how many of them are measured, the first ones; 0: all
/// @throws BadInput
PriceData read_price_data(const std::string& model_folder, const std::string& test_data = "",
                          std::int64_t test_items = 0);

/// How a model is tuned on the items, and where.
struct PriceRun {
  std::string device = "auto";   ///< or "cpu", "cuda"
  std::string dtype;             ///< arithmetic; empty: chosen by the device
  std::int64_t items = 60000;    ///< training items seen
  std::int64_t test_items = 0;   ///< measured; 0: all
  std::int64_t batch_size = 16;  ///< items a step
  double learning_rate = 2e-3;   ///< at its peak
  std::int64_t r = 32;           ///< rank of the adapters
  std::int64_t seed = 42;        ///< of the order of items, of A and of the intervals
};

/// Adds --device, --dtype, --items, --test-items, --learning-rate, --r and --batch-size.
/// @param except  the one of --learning-rate and --r that is no option: its runs differ in it
void add_price_options(Options& options, PriceRun& run, std::string_view except = "");

/// The device and arithmetic of the run. @throws MachineLacks
Placement placement_of(const PriceRun& run);

/// A cosine with a warm-up of 3 %, rows of like length together, no checkpoints.
TrainingArguments price_arguments(const PriceRun& run);

/// Adapters of rank r and alpha 2r on every linear layer, without dropout.
LoraConfig price_lora(std::int64_t r);

/// Trains `parameters` of the model on the items under a progress bar; nothing is written.
/// @return whether the loss stayed finite; the error's line says where it did not
bool tune_on_prices(const std::string& label, LlamaModel& model, std::vector<Parameter> parameters,
                    const TrainingArguments& arguments, const PriceData& data);

/// "test loss" on the answers, "MAE $" and "within 20 % (%)" of a model on the test items.
/// @param tuned  what tune_on_prices() said; false: the figures are not numbers
std::vector<Figure> price_figures(const std::string& label, const LlamaModel& model,
                                  const PriceData& data, std::uint64_t seed, bool tuned = true);

}  // namespace qlora
