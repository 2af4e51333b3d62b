#include "measurements.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/parallel.h"
#include "core/random.h"
#include "evaluation/data.h"
#include "evaluation/metrics.h"
#include "llama/load.h"
#include "ops/device_memory.h"
#include "text/prices.h"

namespace qlora::chapter14 {
namespace {

constexpr std::int64_t kFreshItems = 20000;
constexpr std::uint64_t kFreshSeed = 140;

PricedPrompts embedded(const std::string& name) {
  const std::string path = std::string(QLORA_DATA_DIR) + "/prices/" + name + ".jsonl";
  const std::vector<Example> rows = read_dataset(path);
  PricedPrompts out;
  out.prices = prices_of(rows, path);
  for (const Example& row : rows) out.prompts.push_back(row.prompt);
  return out;
}

std::vector<double> errors(const std::vector<double>& answers, const std::vector<double>& prices) {
  std::vector<double> out(answers.size());
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = absolute_error(answers[i], prices[i]);
  return out;
}

std::span<const double> first(const std::vector<double>& values, std::size_t n) {
  return std::span(values).first(n);
}

// What the price generator's own prompts always have.
std::vector<double> category_means_of(const Items& items) {
  return category_means(items.training, items.test.prompts).value_or(std::vector<double>{});
}

// The errors of the category's mean on fresh items: a population whose mean is known.
std::vector<double> population(const PricedPrompts& training) {
  Items items{training, {}};
  for (const PriceItem& item : draw_price_items(kFreshSeed, kFreshItems)) {
    items.test.prompts.push_back(price_prompt(item.description));
    items.test.prices.push_back(static_cast<double>(item.price));
  }
  return errors(category_means_of(items), items.test.prices);
}

bool holds(const Interval& interval, double truth) {
  return interval.low <= truth && truth <= interval.high;
}

}  // namespace

Items embedded_items() {
  return {embedded("train"), embedded("test")};
}

std::vector<Answers> ways_to_be_wrong(const PricedPrompts& test) {
  const std::vector<double> rule = noise_floor(test.prompts).value_or(std::vector<double>{});
  std::vector<double> high = rule, slips = rule;
  for (std::size_t i = 0; i < rule.size(); ++i) {
    high[i] = std::round(1.25 * rule[i]);
    if (i % 10 == 0) slips[i] = 10.0 * rule[i];
  }
  std::vector<Answers> all;
  const auto add = [&](const char* name, const std::vector<double>& answers) {
    const Metrics m = measure(answers, test.prices, 0);
    all.push_back({name, m.mae, m.hit_rate});
  };
  add("always 25 % too high", high);
  add("right, but every tenth has a digit too many", slips);
  return all;
}

std::vector<Narrowing> narrowing(const Items& items) {
  const std::vector<double> all =
      errors(nearest_neighbors(items.training, items.test.prompts), items.test.prices);
  std::vector<Narrowing> rows;
  for (const std::size_t n : {10u, 38u, 150u, 600u}) {
    rows.push_back({n, mean_of(first(all, n)), bootstrap_mean(first(all, n), 0)});
  }
  return rows;
}

std::vector<Coverage> coverage(const PricedPrompts& training) {
  constexpr std::int64_t kSamples = 200;
  constexpr float kHitRate = 0.03F;
  const std::vector<double> all = population(training);
  const double truth = mean_of(all);
  std::vector<Coverage> rows;
  for (const std::size_t n : {10u, 30u, 100u, 300u}) {
    std::vector<std::array<bool, 3>> outcome(kSamples);
    parallel_for(kSamples, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t s = begin; s < end; ++s) {
        const Random random{1, stream_of(n, static_cast<std::uint64_t>(s))};
        std::vector<double> sample(n), hits(n);
        for (std::size_t i = 0; i < n; ++i) {
          sample[i] = all[random.below(2 * i, kFreshItems)];
          hits[i] = random.keeps(2 * i + 1, 1 - kHitRate) ? 1.0 : 0.0;
        }
        const auto seed = static_cast<std::uint64_t>(s);
        outcome[static_cast<std::size_t>(s)] = {holds(bootstrap_mean(sample, seed), truth),
                                                holds(bootstrap_mean(hits, seed), kHitRate),
                                                mean_of(hits) == 0.0};
      }
    });
    Coverage row{n};
    for (const auto& [mae, hits, none] : outcome) {
      row.of_mae += (mae ? 1.0 : 0.0) / kSamples;
      row.of_hits += (hits ? 1.0 : 0.0) / kSamples;
      row.without_hit += (none ? 1.0 : 0.0) / kSamples;
    }
    rows.push_back(row);
  }
  return rows;
}

std::vector<Comparing> comparing(const Items& items) {
  const std::vector<double> category = errors(category_means_of(items), items.test.prices);
  const std::vector<double> nearest =
      errors(nearest_neighbors(items.training, items.test.prompts), items.test.prices);
  std::vector<Comparing> rows;
  for (const std::size_t n : {75u, 150u, 300u, 600u}) {
    Comparing row{n, paired_difference(first(category, n), first(nearest, n), 0), {}};
    std::vector<double> figures;
    for (std::uint64_t r = 0; r < kResamples; ++r) {
      double figure = 0.0;
      for (const std::size_t i : drawn_anew(n, 1, r)) figure += nearest[i];
      for (const std::size_t i : drawn_anew(n, 2, r)) figure -= category[i];
      figures.push_back(figure / static_cast<double>(n));
    }
    row.unpaired = middle_95(figures);
    rows.push_back(row);
  }
  return rows;
}

std::vector<Leak> leaks(const Items& items) {
  std::vector<Leak> rows;
  for (const double share : {0.0, 0.1, 0.5, 1.0}) {
    PricedPrompts known = items.training;
    const auto n = static_cast<std::size_t>(share * static_cast<double>(items.test.prices.size()));
    known.prompts.insert(known.prompts.end(), items.test.prompts.begin(),
                         items.test.prompts.begin() + static_cast<std::ptrdiff_t>(n));
    known.prices.insert(known.prices.end(), items.test.prices.begin(),
                        items.test.prices.begin() + static_cast<std::ptrdiff_t>(n));
    rows.push_back(
        {share, mean_of(errors(nearest_neighbors(known, items.test.prompts), items.test.prices))});
  }
  return rows;
}

std::vector<Looks> looks(const PricedPrompts& training) {
  constexpr std::size_t kTrials = 500, kItems = 100;
  const std::vector<double> all = population(training);
  std::vector<Looks> rows;
  for (const std::size_t models : {1u, 5u, 20u, 100u}) {
    Looks row{models, 0.0, mean_of(all)};
    for (std::size_t trial = 0; trial < kTrials; ++trial) {
      double best = INFINITY;
      for (std::size_t m = 0; m < models; ++m) {
        const Random random{2, stream_of(models, trial, m)};
        double sum = 0.0;
        for (std::size_t i = 0; i < kItems; ++i) sum += all[random.below(i, kFreshItems)];
        best = std::min(best, sum / static_cast<double>(kItems));
      }
      row.best += best / static_cast<double>(kTrials);
    }
    rows.push_back(row);
  }
  return rows;
}

Likelihood likelihood() {
  constexpr std::size_t kRows = 100;
  const std::string folder = std::string(QLORA_DATA_DIR) + "/tiny-llama";
  const std::string file = std::string(QLORA_DATA_DIR) + "/prices/test.jsonl";
  std::vector<Example> rows = read_dataset(file);
  rows.resize(kRows);
  const Tokenizer tokenizer = Tokenizer::load(folder);
  const EvaluationData data = evaluation_data(std::move(rows), tokenizer, file);
  LlamaModel model = load_model(folder);
  model.reserve_positions(positions_in(data.tokenized));
  Arena arena = ops::arena_on(model.device());
  Likelihood out;
  for (const RowLoss& row : row_losses(model, data.tokenized, 32, tokenizer.padding(), arena)) {
    out.nats += row.sum / kRows;
    out.tokens += static_cast<double>(row.tokens) / kRows;
  }
  for (const Example& row : data.rows) {
    out.characters += static_cast<double>(row.completion.size()) / kRows;
  }
  return out;
}

}  // namespace qlora::chapter14
