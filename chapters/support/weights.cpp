#include "support/weights.h"

#include <algorithm>
#include <cmath>

#include "llama/load.h"
#include "support/model_options.h"
#include "text/examples.h"
#include "text/product_text.h"
#include "training/evaluation_loss.h"

namespace qlora {
namespace {

constexpr std::int64_t kLossBatch = 32;
constexpr std::uint64_t kDescriptionSeed = 20240710;  // not that of the pre-training text
constexpr int kDegrees = 4;                           // of freedom

std::string model_folder() {
  return data_folder() + "/tiny-llama";
}

bool is_linear(const std::string& name, const Tensor& weight) {
  return name.starts_with("model.layers.") && weight.rank() == 2;
}

}  // namespace

std::vector<float> heavy_tailed_sample(std::size_t n, std::uint64_t seed) {
  std::vector<float> x = normal_sample(n, {seed, 0});
  for (std::size_t i = 0; i < n; ++i) {
    float chi_squared = 0.0f;
    for (std::uint64_t k = 1; k <= kDegrees; ++k) {
      const float z = Random{seed, k}.normal(i);
      chi_squared += z * z;
    }
    x[i] /= std::sqrt(chi_squared / kDegrees);
  }
  return x;
}

std::vector<NamedWeight> embedded_weights() {
  const LlamaModel model = load_model(model_folder());
  std::vector<NamedWeight> weights;
  for (const auto& [name, weight] : dense_weights(model)) {
    if (!is_linear(name, weight)) continue;
    NamedWeight w;
    w.name = name.substr(0, name.rfind('.'));
    w.kind = w.name.substr(w.name.rfind('.') + 1);
    w.values.assign(weight.data<float>(), weight.data<float>() + weight.numel());
    weights.push_back(std::move(w));
  }
  return weights;
}

std::vector<float> joined_values(const std::vector<NamedWeight>& weights) {
  std::vector<float> all;
  for (const NamedWeight& w : weights) all.insert(all.end(), w.values.begin(), w.values.end());
  return all;
}

double embedded_loss(std::int64_t descriptions,
                     const std::function<void(std::span<float>)>& change) {
  LlamaModel model = load_model(model_folder());
  for (const auto& [name, weight] : dense_weights(model)) {
    if (is_linear(name, weight)) change(weight.span<float>());
  }
  std::vector<Example> rows;
  rows.reserve(static_cast<std::size_t>(descriptions));
  for (std::int64_t i = 0; i < descriptions; ++i) {
    rows.push_back({Example::Kind::text, "", product_description(kDescriptionSeed, i), {}});
  }
  const Tokenizer tokenizer = Tokenizer::load(model_folder());
  const std::int64_t longest = model.config.max_position_embeddings;
  const TokenizedDataset data = tokenize_dataset(rows, tokenizer, longest);
  model.reserve_positions(longest);
  Arena arena;
  return evaluation_loss(model, data.examples, kLossBatch, tokenizer.padding(), arena);
}

}  // namespace qlora
