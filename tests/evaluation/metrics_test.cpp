#include "evaluation/metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

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

using Answer = std::optional<double>;

TEST(Measure, ByHand) {
  const std::vector<Answer> answers = {Answer{80.0}, Answer{}, Answer{51.0}, Answer{120.0}};
  const std::vector<double> prices = {100.0, 40.0, 50.0, 100.0};
  const Metrics m = measure(answers, prices, 1);
  // Errors 20, 40, 1, 20; 80 and 120 for 100 are still within 20 %.
  EXPECT_TRUE(is_close(m.mae, 81.0 / 4.0, 1e-12));
  EXPECT_EQ(m.hit_rate, 0.75);
  EXPECT_EQ(m.no_answer, 1);
  EXPECT_EQ(m.priced, 4);
  EXPECT_FALSE(m.loss.has_value());
  EXPECT_LE(m.mae_ci95.low, m.mae);
  EXPECT_GE(m.mae_ci95.high, m.mae);
}

TEST(Measure, NoAnswerIsOneOfZeroDollars) {
  EXPECT_EQ(absolute_error(Answer{}, 40.0), 40.0);
  EXPECT_EQ(absolute_error(Answer{0.0}, 40.0), 40.0);
  EXPECT_EQ(absolute_error(Answer{31.0}, 40.0), 9.0);
  EXPECT_EQ(absolute_error(Answer{49.0}, 40.0), 9.0);
  const Metrics m = measure(std::vector<Answer>(3), std::vector<double>{1.0, 2.0, 6.0}, 1);
  EXPECT_EQ(m.mae, 3.0);
  EXPECT_EQ(m.hit_rate, 0.0);
  EXPECT_EQ(m.no_answer, 3);
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

// The errors of the two items are 0 and 8, one is a hit: of resamples of two items 1/4 are all of
// the one, 1/4 all of the other. The ends of both figures are those of a single item.
TEST(Measure, EachIntervalIsOfItsOwnFigure) {
  const std::vector<double> answers = {10.0, 18.0}, prices = {10.0, 10.0};
  const Metrics m = measure(answers, prices, 3);
  EXPECT_EQ(m.mae_ci95.low, 0.0);
  EXPECT_EQ(m.mae_ci95.high, 8.0);
  EXPECT_EQ(m.hit_rate_ci95.low, 0.0);
  EXPECT_EQ(m.hit_rate_ci95.high, 1.0);
}

TEST(Measure, RefusesWhatItCannotMeasure) {
  const std::vector<double> one = {1.0};
  EXPECT_THROW(measure(std::vector<double>{}, std::vector<double>{}, 1), std::invalid_argument);
  EXPECT_THROW(measure(std::vector<double>{1.0, 2.0}, one, 1), std::invalid_argument);
  EXPECT_THROW(measure(std::vector<double>{kNan}, one, 1), std::invalid_argument);
  EXPECT_THROW(measure(std::vector<double>{kInfinity}, one, 1), std::invalid_argument);
  EXPECT_THROW(measure(one, std::vector<double>{kNan}, 1), std::invalid_argument);
}

// A row of one token at 4 nats and one of nine at 1 nat each: 13 nats over 10 tokens. The mean of
// the rows' means would be 2.5.
TEST(AddLosses, EveryTokenCountsTheSame) {
  Metrics m;
  add_losses(m, std::vector<RowLoss>{{4.0, 1}, {9.0, 9}}, 1);
  EXPECT_TRUE(is_close(m.loss.value_or(kNan), 1.3, 1e-12));
  EXPECT_TRUE(is_close(m.perplexity.value_or(kNan), std::exp(1.3), 1e-12));
  EXPECT_EQ(m.priced, 0) << "losses know nothing of prices";
}

// Resamples of two rows: both the first, both the second, or each once. A quarter of them at either
// end: the ends of the interval are the losses of the rows.
TEST(AddLosses, RowsAreDrawnWithTheirTokens) {
  Metrics m;
  add_losses(m, std::vector<RowLoss>{{4.0, 1}, {9.0, 9}}, 1);
  const Interval loss = m.loss_ci95.value_or(Interval{kNan, kNan});
  EXPECT_TRUE(is_close(loss.low, 1.0, 1e-12));
  EXPECT_TRUE(is_close(loss.high, 4.0, 1e-12));
}

TEST(AddLosses, PerplexitysIntervalIsThatOfTheLossRaised) {
  Metrics m;
  std::vector<RowLoss> rows;
  for (int i = 1; i < 40; ++i) rows.push_back({0.3 * i * (i % 5 + 1), i});
  add_losses(m, rows, 7);
  const Interval loss = m.loss_ci95.value_or(Interval{kNan, kNan});
  const Interval perplexity = m.perplexity_ci95.value_or(Interval{kNan, kNan});
  EXPECT_LT(loss.low, m.loss.value_or(kNan));
  EXPECT_GT(loss.high, m.loss.value_or(kNan));
  EXPECT_TRUE(is_close(perplexity.low, std::exp(loss.low), 0.0, 1e-12));
  EXPECT_TRUE(is_close(perplexity.high, std::exp(loss.high), 0.0, 1e-12));
  Metrics other;
  add_losses(other, rows, 8);
  EXPECT_EQ(other.loss, m.loss);
  EXPECT_NE(other.loss_ci95.value_or(Interval{}).low, loss.low);
}

TEST(AddLosses, RefusesRowsWithoutTokens) {
  Metrics m;
  EXPECT_THROW(add_losses(m, {}, 1), std::invalid_argument);
  EXPECT_THROW(add_losses(m, std::vector<RowLoss>{{1.0, 1}, {0.0, 0}}, 1), std::invalid_argument);
}

TEST(Perplexity, IsTheExponential) {
  EXPECT_EQ(perplexity_of(0.0), 1.0);
  EXPECT_TRUE(is_close(perplexity_of(std::log(2048.0)), 2048.0, 0.0, 1e-12));
  EXPECT_EQ(perplexity_of(kInfinity), kInfinity);
  EXPECT_TRUE(std::isnan(perplexity_of(kNan)));
}

}  // namespace
}  // namespace qlora
