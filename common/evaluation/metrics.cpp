#include "evaluation/metrics.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "core/error.h"

namespace qlora {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// Whether "," and exactly three digits follow.
bool is_group(std::string_view text) {
  return text.size() >= 4 && text[0] == ',' && is_digit(text[1]) && is_digit(text[2]) &&
         is_digit(text[3]) && (text.size() == 4 || !is_digit(text[4]));
}

double mean_of_all(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

}  // namespace

std::optional<double> read_answer(std::string_view completion, double cap) {
  const auto* first = std::ranges::find_if(completion, is_digit);
  if (first == completion.end()) return std::nullopt;
  completion.remove_prefix(static_cast<std::size_t>(first - completion.begin()));
  double value = 0.0;
  for (std::size_t digits = 0; !completion.empty(); completion.remove_prefix(1)) {
    const char c = completion.front();
    if (is_digit(c)) {
      value = value * 10.0 + (c - '0');
      ++digits;
    } else if (digits > 3 || !is_group(completion)) {
      break;
    } else {
      digits = 0;
    }
  }
  return std::min(cap, value);
}

double answer_cap(std::span<const double> training_prices) {
  require(!training_prices.empty(), "answer_cap", "at least one price");
  return 10.0 * *std::ranges::max_element(training_prices);
}

bool is_hit(double answer, double price) {
  return 5.0 * std::abs(answer - price) <= price;
}

double absolute_error(std::optional<double> answer, double price) {
  return std::abs(answer.value_or(0.0) - price);
}

Metrics measure(std::span<const std::optional<double>> answers, std::span<const double> prices,
                std::uint64_t seed) {
  const std::size_t n = prices.size();
  require(n > 0 && answers.size() == n, "measure", "as many answers as prices, at least one");
  std::vector<double> errors(n), hits(n);
  Metrics m;
  for (std::size_t i = 0; i < n; ++i) {
    errors[i] = absolute_error(answers[i], prices[i]);
    require(std::isfinite(errors[i]), "measure", "finite numbers");
    hits[i] = answers[i] && is_hit(answers[i].value_or(0.0), prices[i]) ? 1.0 : 0.0;
    m.no_answer += answers[i] ? 0 : 1;
  }
  m.priced = static_cast<std::int64_t>(n);
  m.mae = mean_of_all(errors);
  m.hit_rate = mean_of_all(hits);
  m.mae_ci95 = bootstrap_mean(errors, seed);
  m.hit_rate_ci95 = bootstrap_mean(hits, seed);
  return m;
}

Metrics measure(std::span<const double> answers, std::span<const double> prices,
                std::uint64_t seed) {
  const std::vector<std::optional<double>> given(answers.begin(), answers.end());
  return measure(given, prices, seed);
}

void add_losses(Metrics& metrics, std::span<const RowLoss> rows, std::uint64_t seed) {
  require(!rows.empty(), "add_losses", "at least one row");
  std::vector<double> sums, tokens;
  for (const RowLoss& row : rows) {
    sums.push_back(row.sum);
    tokens.push_back(static_cast<double>(row.tokens));
  }
  const Interval ends = bootstrap_ratio(sums, tokens, seed);
  metrics.loss = std::accumulate(sums.begin(), sums.end(), 0.0) /
                 std::accumulate(tokens.begin(), tokens.end(), 0.0);
  metrics.perplexity = perplexity_of(*metrics.loss);
  metrics.loss_ci95 = ends;
  metrics.perplexity_ci95 = {perplexity_of(ends.low), perplexity_of(ends.high)};
}

double perplexity_of(double loss) {
  return std::exp(loss);
}

}  // namespace qlora
