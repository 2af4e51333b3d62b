#include "switching.h"

#include <cmath>

#include "llama/adapters.h"
#include "llama/load.h"
#include "text/product_text.h"
#include "training/evaluation_loss.h"
#include "training/trainer.h"

namespace qlora::chapter13 {
namespace {

constexpr std::uint64_t kDescriptions = 13;  // seed of the two texts
constexpr std::int64_t kSteps = 30, kRank = 4;

// The linear layers' weights, as they are now.
std::vector<Tensor> linear_weights(const LlamaModel& model) {
  std::vector<Tensor> all;
  for (const auto& [name, weight] : dense_weights(model)) {
    if (name.starts_with("model.layers.") && weight.rank() == 2) all.push_back(weight.clone());
  }
  return all;
}

// The base, its two texts, and what it was at the start.
class Bench {
 public:
  explicit Bench(const std::string& folder)
      : tokenizer_(Tokenizer::load(folder)), model_(load_model(folder)) {
    for (std::int64_t i = 0; i < 2; ++i) {
      texts_.push_back(tokenize_example(
          {Example::Kind::text, "", product_description(kDescriptions, i), {}}, tokenizer_));
    }
    model_.reserve_positions(positions_in(texts_));
    start_ = linear_weights(model_);
  }

  LlamaModel& model() { return model_; }

  // An adapter that has seen one of the texts and nothing else, off the model again.
  AdapterSet learned(std::size_t text) {
    LoraConfig lora;
    lora.r = kRank;
    lora.lora_alpha = 2.0 * kRank;
    lora.target_modules = std::string("all-linear");
    TrainingArguments arguments;
    arguments.learning_rate = 5e-3;
    arguments.per_device_train_batch_size = 1;
    arguments.max_steps = kSteps;
    arguments.save_strategy = SaveStrategy::no;
    TrainingTask task{model_,
                      attach_lora(model_, lora, text),
                      std::span(&texts_[text], 1),
                      {},
                      tokenizer_.padding(),
                      arguments,
                      "",
                      {}};
    train(task);
    return take_adapters(model_);
  }

  Switched measured(const std::string& name) {
    Switched s{name, loss(0), loss(1)};
    double squares = 0, off = 0, differ = 0, all = 0;
    const std::vector<Tensor> now = linear_weights(model_);
    for (std::size_t t = 0; t < now.size(); ++t) {
      const std::span<const float> a = start_[t].span<float>(), b = now[t].span<float>();
      for (std::size_t i = 0; i < a.size(); ++i) {
        const double d = static_cast<double>(b[i]) - static_cast<double>(a[i]);
        off += d * d;
        squares += static_cast<double>(a[i]) * static_cast<double>(a[i]);
        differ += a[i] == b[i] ? 0 : 1;
      }
      all += static_cast<double>(a.size());
    }
    s.changed = differ / all;
    s.off = std::sqrt(off / squares);
    return s;
  }

 private:
  double loss(std::size_t text) {
    return evaluation_loss(model_, std::span(&texts_[text], 1), 1, tokenizer_.padding(), arena_);
  }

  Tokenizer tokenizer_;
  LlamaModel model_;
  std::vector<TokenizedExample> texts_;
  std::vector<Tensor> start_;
  Arena arena_;
};

// Both on every projection: their updates add up.
AdapterSet together(AdapterSet first, const AdapterSet& second) {
  for (std::size_t i = 0; i < first.size(); ++i) {
    first[i].insert(first[i].end(), second[i].begin(), second[i].end());
  }
  return first;
}

}  // namespace

std::vector<Switched> switched(const std::string& folder) {
  Bench bench(folder);
  LlamaModel& model = bench.model();
  const AdapterSet first = bench.learned(0), second = bench.learned(1);
  std::vector<Switched> rows{bench.measured("nothing")};
  // [switch]
  put_adapters(model, first);
  rows.push_back(bench.measured("first"));
  put_adapters(model, second);
  rows.push_back(bench.measured("second"));
  put_adapters(model, together(first, second));
  rows.push_back(bench.measured("both"));
  take_adapters(model);
  rows.push_back(bench.measured("nothing again"));
  // [/switch]
  put_adapters(model, together(first, second));
  const MergedAdapters merged = merge_adapters(model);
  rows.push_back(bench.measured("both, merged"));
  unmerge_adapters(model, merged);
  take_adapters(model);
  rows.push_back(bench.measured("both, merged and unmerged"));
  return rows;
}

}  // namespace qlora::chapter13
