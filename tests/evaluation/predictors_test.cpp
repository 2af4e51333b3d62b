#include "evaluation/predictors.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "evaluation/data.h"
#include "evaluation/metrics.h"
#include "evaluation/report.h"
#include "support/matcher.h"
#include "text/dataset.h"

namespace qlora {
namespace {

using testing::is_close;

PricedPrompts split(const std::string& name) {
  const std::string file = QLORA_SOURCE_DIR "/data/prices/" + name + ".jsonl";
  const auto rows = read_dataset(file);
  PricedPrompts set;
  set.prices = prices_of(rows, file);
  for (const Example& row : rows) set.prompts.push_back(row.prompt);
  return set;
}

// Not a number where it was not measured: no comparison passes then.
double mae_of(const std::optional<Metrics>& metrics) {
  return metrics ? metrics->mae : std::numeric_limits<double>::quiet_NaN();
}

TEST(Predictors, MedianAndMean) {
  EXPECT_EQ(median_of(std::vector<double>{9.0, 1.0, 4.0}), 4.0);
  EXPECT_EQ(median_of(std::vector<double>{9.0, 1.0, 4.0, 5.0}), 4.5);
  EXPECT_EQ(mean_of(std::vector<double>{9.0, 1.0, 5.0}), 5.0);
  EXPECT_THROW(median_of({}), std::invalid_argument);
  EXPECT_THROW(mean_of({}), std::invalid_argument);
}

TEST(Predictors, CategoryMeans) {
  const PricedPrompts training = {
      {"Granby oak desk", "Norvik pine desk, large", "Granby wool scarf"}, {100.0, 300.0, 20.0}};
  const std::vector<std::string> prompts = {"Verity birch desk", "Oakham silk scarf, red",
                                            "Granby pine wardrobe"};
  const auto means = category_means(training, prompts);
  EXPECT_EQ(means.value_or(std::vector<double>{}), (std::vector<double>{200.0, 20.0, 140.0}));
  const std::vector<std::string> foreign = {"a used car"};
  EXPECT_FALSE(category_means(training, foreign).has_value());
  EXPECT_FALSE(category_means({foreign, {1.0}}, prompts).has_value());
}

TEST(Predictors, NearestNeighborsGoByRareWords) {
  const PricedPrompts training = {{"the red car is for sale", "the blue car is for sale",
                                   "the red kite is for sale", "a kite, the red one"},
                                  {1000.0, 2000.0, 10.0, 30.0}};
  const std::vector<std::string> prompts = {"THE BLUE CAR IS FOR SALE!", "one", "xyz", ""};
  const auto answers = nearest_neighbors(training, prompts);
  EXPECT_EQ(answers[0], 2000.0);
  EXPECT_EQ(answers[1], 30.0);
  EXPECT_EQ(answers[2], 760.0);  // no word in common: the mean
  EXPECT_EQ(answers[3], 760.0);
}

TEST(Predictors, EquallyNearNeighborsAreAveraged) {
  const PricedPrompts training = {{"blue kite", "kite blue", "red kite"}, {10.0, 30.0, 99.0}};
  const std::vector<std::string> prompts = {"a blue kite"};
  EXPECT_EQ(nearest_neighbors(training, prompts)[0], 20.0);
}

TEST(Predictors, NoiseFloorIsTheRule) {
  const std::vector<std::string> prompts = {"Norvik oak desk", "Norvik oak desk, set of 2"};
  const std::vector<double> floor = noise_floor(prompts).value_or(std::vector<double>{});
  ASSERT_EQ(floor.size(), 2u);
  EXPECT_EQ(floor[0], std::round(floor[0]));
  EXPECT_GT(floor[1], floor[0]);
  EXPECT_FALSE(noise_floor(std::vector<std::string>{"a used car"}).has_value());
}

// The embedded items: each yardstick is better than the one before, and of its order.
TEST(Predictors, OnTheEmbeddedItems) {
  Report report;
  add_predictors(report, split("train"), split("test"), 1);
  EXPECT_EQ(report.items, 600);
  EXPECT_TRUE(is_close(mae_of(report.mean_predictor), 80.0, 12.0));
  EXPECT_TRUE(is_close(mae_of(report.median_predictor), 73.0, 12.0));
  EXPECT_TRUE(is_close(mae_of(report.category_mean), 49.0, 8.0));
  EXPECT_LT(mae_of(report.nearest_neighbor), mae_of(report.category_mean));
  EXPECT_GT(mae_of(report.nearest_neighbor), 2.0 * mae_of(report.noise_floor));
  EXPECT_TRUE(is_close(mae_of(report.noise_floor), 8.0, 1.5));
  EXPECT_GT(report.noise_floor.value_or(Metrics{}).hit_rate, 0.9);
  EXPECT_FALSE(report.base.has_value());
}

TEST(Predictors, ForeignItemsHaveNoCategoryAndNoFloor) {
  Report report;
  const PricedPrompts cars = {{"a used car", "a new car"}, {100.0, 900.0}};
  add_predictors(report, cars, cars, 1);
  EXPECT_FALSE(report.category_mean.has_value());
  EXPECT_FALSE(report.noise_floor.has_value());
  EXPECT_EQ(mae_of(report.nearest_neighbor), 0.0);
  EXPECT_EQ(mae_of(report.median_predictor), 400.0);
}

}  // namespace
}  // namespace qlora
