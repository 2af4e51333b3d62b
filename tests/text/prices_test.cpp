#include "text/prices.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include "core/files.h"
#include "core/random.h"
#include "support/matcher.h"
#include "text/dataset.h"
#include "text/embedded_tokenizer.h"
#include "text/price_words.h"

namespace qlora {
namespace {

using testing::is_close;

std::string file_of(const std::string& split) {
  return QLORA_SOURCE_DIR "/data/prices/" + split + ".jsonl";
}

const std::vector<PriceItem>& many() {
  static const std::vector<PriceItem> items = draw_price_items(99, 12000);
  return items;
}

std::string category_of(const std::string& text) {
  return price_rule(text).value_or(PriceRule{}).category;
}

TEST(PriceFiles, RegeneratingGivesTheSameBytes) {
  const auto files = price_files();
  ASSERT_EQ(files.size(), price_splits().size());
  for (std::size_t i = 0; i < files.size(); ++i) {
    const PriceSplit& split = price_splits()[i];
    EXPECT_TRUE(read_file(file_of(split.name)) == files[i]) << split.name;
  }
}

TEST(PriceFiles, SplitsAreOfTheirSizesAndShareNoDescription) {
  std::set<std::string> prompts;
  std::size_t rows = 0;
  for (const PriceSplit& split : price_splits()) {
    const auto examples = read_dataset(file_of(split.name));
    EXPECT_EQ(static_cast<std::int64_t>(examples.size()), split.count) << split.name;
    rows += examples.size();
    for (const Example& e : examples) {
      prompts.insert(e.prompt);
      EXPECT_TRUE(e.prompt.starts_with("How much does this cost to the nearest dollar?\n\n"));
      EXPECT_TRUE(e.prompt.ends_with("\n\nPrice is $"));
      EXPECT_EQ(e.completion.find_first_not_of("0123456789"), std::string::npos) << e.completion;
      EXPECT_GE(std::stoi(e.completion), 1);
      EXPECT_TRUE(price_rule(e.prompt).has_value()) << e.prompt;
    }
  }
  EXPECT_EQ(prompts.size(), rows);
  EXPECT_GE(price_splits()[2].count, 500);
}

TEST(PriceFiles, RowsHaveAboutFortyTokens) {
  double tokens = 0.0;
  const auto rows = read_dataset(file_of("train"));
  for (const Example& row : rows) {
    const auto ids = testing::embedded_tokenizer().encode(row.prompt + row.completion,
                                                          {.add_bos = true, .add_eos = true});
    tokens += static_cast<double>(ids.size());
  }
  const double mean = tokens / static_cast<double>(rows.size());
  EXPECT_GT(mean, 35.0);
  EXPECT_LT(mean, 43.0);
}

TEST(PriceItems, ALongerDrawBeginsWithTheShorter) {
  const auto few = draw_price_items(5, 20);
  const auto more = draw_price_items(5, 40);
  const auto others = draw_price_items(6, 20);
  for (std::size_t i = 0; i < few.size(); ++i) {
    EXPECT_EQ(few[i].description, more[i].description);
    EXPECT_EQ(few[i].price, more[i].price);
    EXPECT_NE(few[i].description, others[i].description);
  }
  EXPECT_TRUE(draw_price_items(5, 0).empty());
  EXPECT_THROW(draw_price_items(5, kMostPriceItems + 1), std::invalid_argument);
}

TEST(PriceItems, TakenDescriptionsDoNotCome) {
  const auto first = draw_price_items(5, 20);
  const std::vector<std::string> taken = {first[0].description, first[7].description};
  const auto second = draw_price_items(5, 18, taken);
  std::set<std::string> descriptions;
  for (const PriceItem& item : second) descriptions.insert(item.description);
  EXPECT_EQ(descriptions.size(), 18u);
  EXPECT_FALSE(descriptions.contains(taken[0]));
  EXPECT_FALSE(descriptions.contains(taken[1]));
  EXPECT_EQ(second[0].description, first[1].description);
}

TEST(PriceItems, TheTextAloneGivesTheRule) {
  for (const PriceItem& item : many()) {
    const auto rule = price_rule(price_prompt(item.description));
    ASSERT_TRUE(rule.has_value()) << item.description;
    // The product of eight factors in another order: seven roundings of 2^-53 each.
    EXPECT_TRUE(is_close(rule.value_or(PriceRule{}).price, item.rule_price, 0.0, 7 * 0x1p-53))
        << item.description;
  }
}

// price = rule · exp(0.09 z): the ratio's logarithm has mean 0 and deviation 0.09, but for
// rounding.
TEST(PriceItems, NoiseIsMultiplicativeAndCentred) {
  double sum = 0.0;
  double squares = 0.0;
  double n = 0.0;
  for (const PriceItem& item : many()) {
    if (item.rule_price < 50.0) continue;  // rounding to dollars would show
    const double z = std::log(static_cast<double>(item.price) / item.rule_price) / 0.09;
    sum += z;
    squares += z * z;
    n += 1.0;
  }
  EXPECT_LT(std::abs(sum / n), 4.0 / std::sqrt(n));
  EXPECT_LT(std::abs(squares / n - 1.0),
            0.01 + 4.0 * std::sqrt(2.0 / n));  // 4 deviations, rounding
}

double mean_absolute(const std::vector<double>& prices, double answer) {
  double sum = 0.0;
  for (const double p : prices) sum += std::abs(p - answer);
  return sum / static_cast<double>(prices.size());
}

TEST(PriceItems, ErrorsOfTrivialAnswersAreOfTheirOrder) {
  std::vector<double> prices;
  std::map<std::string, std::vector<double>> by_category;
  double floor = 0.0;
  for (const PriceItem& item : many()) {
    prices.push_back(static_cast<double>(item.price));
    by_category[category_of(item.description)].push_back(prices.back());
    floor += std::abs(prices.back() - std::round(item.rule_price)) / 12000.0;
  }
  std::ranges::sort(prices);
  const double mean = std::accumulate(prices.begin(), prices.end(), 0.0) / 12000.0;
  EXPECT_TRUE(is_close(mean_absolute(prices, mean), 80.0, 8.0));
  EXPECT_TRUE(is_close(mean_absolute(prices, prices[6000]), 73.0, 8.0));
  double category = 0.0;
  for (const auto& [name, group] : by_category) {
    const double n = static_cast<double>(group.size());
    const double own = std::accumulate(group.begin(), group.end(), 0.0) / n;
    category += mean_absolute(group, own) * n / 12000.0;
  }
  EXPECT_TRUE(is_close(category, 48.0, 5.0));
  EXPECT_TRUE(is_close(floor, 8.0, 1.0));
  EXPECT_GE(by_category.size(), 24u);
  EXPECT_LT(prices.back(), 5000.0);
}

// The best linear fit of log price on the category (one indicator each) predicts the mean of the
// category: R² = 1 - residual / total.
TEST(PriceItems, CategoryExplainsAtMostSeventyPercentOfTheVariance) {
  std::map<std::string, std::pair<double, double>> sums;
  double total_sum = 0.0;
  for (const PriceItem& item : many()) {
    auto& [sum, n] = sums[category_of(item.description)];
    sum += std::log(static_cast<double>(item.price));
    n += 1.0;
    total_sum += std::log(static_cast<double>(item.price));
  }
  double residual = 0.0;
  double total = 0.0;
  for (const PriceItem& item : many()) {
    const auto& [sum, n] = sums[category_of(item.description)];
    const double y = std::log(static_cast<double>(item.price));
    residual += (y - sum / n) * (y - sum / n);
    total += (y - total_sum / 12000.0) * (y - total_sum / 12000.0);
  }
  const double r_squared = 1.0 - residual / total;
  EXPECT_LE(r_squared, 0.70);
  EXPECT_GE(r_squared, 0.50);  // and it matters
}

TEST(PriceRule, KnowsNothingOfOtherTexts) {
  EXPECT_FALSE(price_rule("").has_value());
  EXPECT_FALSE(price_rule("What is the capital of France?").has_value());
  EXPECT_FALSE(price_rule("A large oak desk").has_value());             // no brand
  EXPECT_FALSE(price_rule("Granby oak").has_value());                   // no category
  EXPECT_FALSE(price_rule("Granby Norvik oak desk").has_value());       // two brands
  EXPECT_FALSE(price_rule("Granby oakdesk, hats of oak").has_value());  // parts of words
  EXPECT_EQ(category_of("GRANBY desk (Oak)"), "desk");
}

TEST(PriceRule, FactorsMultiply) {
  const auto price = [](const char* text) { return price_rule(text).value_or(PriceRule{}).price; };
  const double plain = price("Norvik oak desk");
  const double large = price("Large Norvik oak desk");
  EXPECT_GT(large, plain);
  EXPECT_TRUE(is_close(price("Large Norvik oak desk, worn, red") / large,
                       price("Norvik oak desk, worn") / plain, 0.0, 1e-12));
  EXPECT_EQ(price("Norvik oak desk, red"), plain);
  EXPECT_NE(price("Norvik oak desk, like new"), price("Norvik oak desk, new"));
}

TEST(Products, ThreeOfFourAreForItems) {
  int items = 0;
  for (std::uint64_t i = 0; i < 4000; ++i) {
    Product product = draw_product(1, i);
    items += is_for_items(product) ? 1 : 0;
    const bool with_color = is_for_items(product);
    product.words[static_cast<std::size_t>(Attribute::color)] = nullptr;
    EXPECT_EQ(is_for_items(product), with_color);
  }
  EXPECT_NEAR(items, 3000, 5 * std::sqrt(4000 * 0.75 * 0.25));
}

TEST(Describe, FillsPatterns) {
  const Product product = find_product("Granby oak desk, large").value_or(Product{});
  EXPECT_EQ(describe(product, "{material} {category}[, {size}][, {color}] by {brand}. {size}. yes"),
            "Oak desk, large by Granby. Large. Yes");
  EXPECT_THROW(describe(product, "{color}"), std::invalid_argument);
  EXPECT_THROW(describe(product, "{shape}"), std::invalid_argument);
  EXPECT_THROW(describe(product, "{brand"), std::invalid_argument);
  EXPECT_THROW(describe(product, "[{brand}"), std::invalid_argument);
}

}  // namespace
}  // namespace qlora
