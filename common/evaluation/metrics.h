// How good answers and losses are, and how certain that is.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "evaluation/bootstrap.h"
#include "training/evaluation_loss.h"

namespace qlora {

/// The first integer of a completion: the first run of digits, where a comma between groups of
/// three ("1,299") belongs to it, capped. Nothing where there is no digit.
std::optional<double> read_answer(std::string_view completion, double cap);

/// The cap of an answer: ten times the largest training price.
/// @throws std::invalid_argument if there is none
double answer_cap(std::span<const double> training_prices);

/// What is measured of a model or a predictor over the test items.
struct Metrics {
  std::optional<double> loss;               ///< mean cross-entropy of the supervised tokens
  std::optional<double> perplexity;         ///< exp(loss)
  std::optional<Interval> loss_ci95;        ///< of loss; there where it is
  std::optional<Interval> perplexity_ci95;  ///< of perplexity; there where it is

  /// Items that have a price: where there are none, what follows means nothing.
  std::int64_t priced = 0;
  double mae = 0.0;            ///< mean |answer - price| in dollars
  double hit_rate = 0.0;       ///< share of answers within 20 % of the price
  std::int64_t no_answer = 0;  ///< completions without an integer; they count as 0 dollars
  Interval mae_ci95;           ///< of mae
  Interval hit_rate_ci95;      ///< of hit_rate
};

/// Whether an answer is within 20 % of the price: 5 |answer - price| <= price.
bool is_hit(double answer, double price);

/// |answer - price|, where no answer is one of 0 dollars.
double absolute_error(std::optional<double> answer, double price);

/// Measures answers against prices, with intervals over the items (bootstrap_mean()). No answer is
/// no hit.
/// @param answers  nothing where there was no answer
/// @throws std::invalid_argument if sizes differ, there is no item, or a number is not finite
Metrics measure(std::span<const std::optional<double>> answers, std::span<const double> prices,
                std::uint64_t seed);

/// The same for a predictor that always answers.
Metrics measure(std::span<const double> answers, std::span<const double> prices,
                std::uint64_t seed);

/// Puts the mean loss over all tokens of the rows, its perplexity, and the intervals of both over
/// the rows (bootstrap_ratio()) into `metrics`. A perplexity's interval is that of the loss, each
/// end raised: exp keeps the order of the resamples.
/// @throws std::invalid_argument if there is no row, or one without a token
void add_losses(Metrics& metrics, std::span<const RowLoss> rows, std::uint64_t seed);

/// exp(loss); infinite where that overflows, NaN for NaN.
double perplexity_of(double loss);

}  // namespace qlora
