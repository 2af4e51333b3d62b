#include "evaluation/metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/error.h"
#include "core/random.h"
#include "support/matcher.h"

namespace qlora {
namespace {

using testing::is_close;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

TEST(ReadAnswer, IsTheFirstInteger) {
  const auto read = [](const char* text) { return read_answer(text, 1e6).value_or(-1.0); };
  EXPECT_EQ(read("129"), 129.0);
  EXPECT_EQ(read("129.99"), 129.0);
  EXPECT_EQ(read(" 12 9"), 12.0);
  EXPECT_EQ(read("about $45 or 50"), 45.0);
  EXPECT_EQ(read("-7"), 7.0);
  EXPECT_EQ(read("007"), 7.0);
  EXPECT_EQ(read("0"), 0.0);
  EXPECT_EQ(read("1,299"), 1299.0);
  EXPECT_EQ(read("12,345,678"), 1e6);  // capped
  EXPECT_EQ(read("1,2999"), 1.0);      // no group of three
  EXPECT_EQ(read("1,29"), 1.0);
  EXPECT_EQ(read("1234,567"), 1234.0);
  EXPECT_EQ(read("1,,299"), 1.0);
  EXPECT_EQ(read("5, 6"), 5.0);
}

TEST(ReadAnswer, NothingWithoutADigit) {
  EXPECT_EQ(read_answer("", 10.0), std::nullopt);
  EXPECT_EQ(read_answer("a lot, -.$", 10.0), std::nullopt);
  EXPECT_EQ(read_answer("\xD9\xA3", 10.0), std::nullopt);  // an Arabic-Indic digit
}

TEST(ReadAnswer, IsCapped) {
  EXPECT_EQ(read_answer("99", 50.0), 50.0);
  EXPECT_EQ(read_answer(std::string(5000, '9'), 50.0), 50.0);
  const std::vector<double> prices = {3.0, 70.0, 5.0};
  EXPECT_EQ(answer_cap(prices), 700.0);
  EXPECT_THROW(answer_cap({}), std::invalid_argument);
}

TEST(PricesOf, NamesTheRowWithoutAPrice) {
  const auto row = [](const char* completion) {
    return Example{Example::Kind::prompt_completion, "p", completion, {}};
  };
  const std::vector<Example> good = {row("12"), row(" 7 dollars")};
  EXPECT_EQ(prices_of(good, "f"), (std::vector<double>{12.0, 7.0}));
  for (const char* completion : {"none", "0", ""}) {
    try {
      prices_of(std::vector<Example>{row("12"), row(completion)}, "f");
      ADD_FAILURE() << "accepted \"" << completion << '"';
    } catch (const BadInput& e) {
      EXPECT_TRUE(std::string(e.what()).starts_with("f: row 2: no price")) << e.what();
    }
  }
  const std::vector<Example> text = {{Example::Kind::text, "", "12", {}}};
  EXPECT_THROW(prices_of(text, "f"), BadInput);
}

TEST(Measure, ByHand) {
  using Answer = std::optional<double>;
  const std::vector<Answer> answers = {Answer{80.0}, Answer{}, Answer{51.0}, Answer{120.0}};
  const std::vector<double> prices = {100.0, 40.0, 50.0, 100.0};
  const Metrics m = measure(answers, prices, 1);
  // Errors 20, 40, 1, 20; 80 and 120 for 100 are still within 20 %.
  EXPECT_TRUE(is_close(m.mae, 81.0 / 4.0, 1e-12));
  EXPECT_EQ(m.hit_rate, 0.75);
  EXPECT_EQ(m.no_answer, 1);
  EXPECT_FALSE(m.loss.has_value());
  EXPECT_LE(m.mae_ci95.low, m.mae);
  EXPECT_GE(m.mae_ci95.high, m.mae);
}

TEST(Measure, HitsEndAtTwentyPercent) {
  for (int dollars = 5; dollars < 2000; dollars += 5) {
    const double price = dollars;
    EXPECT_TRUE(is_hit(price * 4.0 / 5.0, price));
    EXPECT_TRUE(is_hit(price + price / 5.0, price));
    EXPECT_FALSE(is_hit(price * 4.0 / 5.0 - 1.0, price));
    EXPECT_FALSE(is_hit(price + price / 5.0 + 1.0, price));
  }
}

TEST(Measure, ACertainFigureHasAnIntervalOfNoWidth) {
  const std::vector<double> prices(50, 10.0);
  const Metrics m = measure(std::vector<double>(50, 13.0), prices, 4);
  EXPECT_TRUE(is_close(m.mae, 3.0, 1e-12));
  EXPECT_TRUE(is_close(m.mae_ci95.low, 3.0, 1e-12));
  EXPECT_TRUE(is_close(m.mae_ci95.high, 3.0, 1e-12));
  EXPECT_EQ(m.hit_rate_ci95.high, 0.0);
}

TEST(Measure, DependsOnTheSeedInItsIntervalsAlone) {
  std::vector<double> answers;
  std::vector<double> prices;
  for (int i = 1; i < 60; ++i) {
    answers.push_back(i);
    prices.push_back(i + i % 7);
  }
  const Metrics one = measure(answers, prices, 1);
  const Metrics same = measure(answers, prices, 1);
  const Metrics two = measure(answers, prices, 2);
  EXPECT_EQ(one.mae_ci95.low, same.mae_ci95.low);
  EXPECT_NE(one.mae_ci95.low, two.mae_ci95.low);
  EXPECT_EQ(one.mae, two.mae);
}

// 200 samples of 100 absolute normals, whose mean is sqrt(2/pi): a 95 % interval misses in 10 of
// them on average. 22 misses are beyond four deviations, sqrt(200 · 0.05 · 0.95) = 3.1; the
// percentile interval of a skewed figure covers a little less than it says.
TEST(Measure, IntervalsCoverTheTruth) {
  int missed = 0;
  double width = 0.0;
  for (std::uint64_t sample = 0; sample < 200; ++sample) {
    const Random random{17, sample};
    std::vector<double> answers(100);
    for (std::size_t i = 0; i < 100; ++i) answers[i] = 1000.0 + random.normal(i);
    const Metrics m = measure(answers, std::vector<double>(100, 1000.0), sample);
    const double truth = std::sqrt(2.0 / 3.14159265358979);
    missed += truth < m.mae_ci95.low || truth > m.mae_ci95.high ? 1 : 0;
    width += (m.mae_ci95.high - m.mae_ci95.low) / 200.0;
  }
  EXPECT_LE(missed, 22);
  EXPECT_GE(missed, 1);
  // Two times 1.96 standard errors: deviation sqrt(1 - 2/pi) = 0.603 over sqrt(100).
  EXPECT_TRUE(is_close(width, 2 * 1.96 * 0.0603, 0.02));
}

TEST(Measure, RefusesWhatItCannotMeasure) {
  const std::vector<double> one = {1.0};
  EXPECT_THROW(measure(std::vector<double>{}, std::vector<double>{}, 1), std::invalid_argument);
  EXPECT_THROW(measure(std::vector<double>{1.0, 2.0}, one, 1), std::invalid_argument);
  EXPECT_THROW(measure(std::vector<double>{kNan}, one, 1), std::invalid_argument);
  EXPECT_THROW(measure(std::vector<double>{kInfinity}, one, 1), std::invalid_argument);
  EXPECT_THROW(measure(one, std::vector<double>{kNan}, 1), std::invalid_argument);
}

TEST(Perplexity, IsTheExponential) {
  EXPECT_EQ(perplexity_of(0.0), 1.0);
  EXPECT_TRUE(is_close(perplexity_of(std::log(2048.0)), 2048.0, 0.0, 1e-12));
  EXPECT_EQ(perplexity_of(kInfinity), kInfinity);
  EXPECT_TRUE(std::isnan(perplexity_of(kNan)));
}

}  // namespace
}  // namespace qlora
