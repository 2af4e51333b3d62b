// How good answers are: mean absolute error, hits, and how certain the two are.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/dataset.h"

namespace qlora {

/// The first integer of a completion: the first run of digits, where a comma between groups of
/// three ("1,299") belongs to it, capped. Nothing where there is no digit.
std::optional<double> read_answer(std::string_view completion, double cap);

/// The cap of an answer: ten times the largest training price.
double answer_cap(std::span<const double> training_prices);

/// The prices of a data set's rows: the integer of each completion.
/// @throws BadInput naming `file` and the row whose completion holds no price above zero
std::vector<double> prices_of(std::span<const Example> rows, const std::string& file);

/// A 95 % confidence interval.
struct Interval {
  double low = 0.0;   ///< the 2.5th percentile
  double high = 0.0;  ///< the 97.5th
};

/// What is measured of a model or a predictor over the test items.
struct Metrics {
  std::optional<double> loss;        ///< mean cross-entropy of the supervised tokens
  std::optional<double> perplexity;  ///< exp(loss)
  double mae = 0.0;                  ///< mean |answer - price| in dollars
  double hit_rate = 0.0;             ///< share of answers within 20 % of the price
  std::int64_t no_answer = 0;        ///< completions without an integer; they count as 0 dollars
  Interval mae_ci95;                 ///< of mae
  Interval hit_rate_ci95;            ///< of hit_rate
};

/// Whether an answer is within 20 % of the price: 5 |answer - price| <= price.
bool is_hit(double answer, double price);

/// Measures answers against prices. The intervals are percentile bootstrap intervals (Efron and
/// Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13): the items are drawn anew with
/// replacement 1,000 times, and the 2.5th and 97.5th percentile of the figure are its ends.
/// @param answers  nothing where there was no answer
/// @throws std::invalid_argument if sizes differ, there is no item, or a number is not finite
Metrics measure(std::span<const std::optional<double>> answers, std::span<const double> prices,
                std::uint64_t seed);

/// The same for a predictor that always answers.
Metrics measure(std::span<const double> answers, std::span<const double> prices,
                std::uint64_t seed);

/// exp(loss); infinite where that overflows, NaN for NaN.
double perplexity_of(double loss);

}  // namespace qlora
