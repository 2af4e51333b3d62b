#include "evaluation/metrics.h"

#include <algorithm>
#include <cctype>
#include <cmath>

#include "core/error.h"
#include "core/random.h"

namespace qlora {
namespace {

constexpr int kResamples = 1000;
constexpr std::uint64_t kBootstrapStream = 0x626f6f74;  // "boot"

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// Whether "," and exactly three digits follow.
bool is_group(std::string_view text) {
  return text.size() >= 4 && text[0] == ',' && is_digit(text[1]) && is_digit(text[2]) &&
         is_digit(text[3]) && (text.size() == 4 || !is_digit(text[4]));
}

// The ends of the middle 95 % of the resampled figures.
Interval middle(std::vector<double> figures) {
  std::ranges::sort(figures);
  const auto cut = static_cast<std::size_t>(0.025 * kResamples);
  return {figures[cut], figures[figures.size() - 1 - cut]};
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
      value = std::min(cap, value * 10.0 + (c - '0'));
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

std::vector<double> prices_of(std::span<const Example> rows, const std::string& file) {
  constexpr double kLargest = 1e12;
  std::vector<double> prices;
  for (const Example& row : rows) {
    const auto price = row.kind == Example::Kind::prompt_completion
                           ? read_answer(row.completion, kLargest)
                           : std::nullopt;
    if (!price || *price <= 0.0) {
      throw BadInput(file, "row " + std::to_string(prices.size() + 1),
                     "no price, expected \"prompt\" and \"completion\" with whole dollars");
    }
    prices.push_back(*price);
  }
  return prices;
}

bool is_hit(double answer, double price) {
  return 5.0 * std::abs(answer - price) <= price;
}

Metrics measure(std::span<const std::optional<double>> answers, std::span<const double> prices,
                std::uint64_t seed) {
  const std::size_t n = prices.size();
  require(n > 0 && answers.size() == n, "measure", "as many answers as prices, at least one");
  std::vector<double> errors(n);
  std::vector<double> hits(n);
  Metrics metrics;
  for (std::size_t i = 0; i < n; ++i) {
    const double answer = answers[i].value_or(0.0);
    require(std::isfinite(answer) && std::isfinite(prices[i]), "measure", "finite numbers");
    errors[i] = std::abs(answer - prices[i]);
    hits[i] = answers[i] && is_hit(answer, prices[i]) ? 1.0 : 0.0;
    metrics.mae += errors[i] / static_cast<double>(n);
    metrics.hit_rate += hits[i] / static_cast<double>(n);
    metrics.no_answer += answers[i] ? 0 : 1;
  }
  std::vector<double> mae(kResamples, 0.0);
  std::vector<double> hit_rate(kResamples, 0.0);
  for (std::size_t r = 0; r < kResamples; ++r) {
    const Random random{seed, stream_of(kBootstrapStream, r)};
    for (std::size_t i = 0; i < n; ++i) {
      const std::size_t drawn = random.below(i, static_cast<std::uint32_t>(n));
      mae[r] += errors[drawn] / static_cast<double>(n);
      hit_rate[r] += hits[drawn] / static_cast<double>(n);
    }
  }
  metrics.mae_ci95 = middle(std::move(mae));
  metrics.hit_rate_ci95 = middle(std::move(hit_rate));
  return metrics;
}

Metrics measure(std::span<const double> answers, std::span<const double> prices,
                std::uint64_t seed) {
  const std::vector<std::optional<double>> given(answers.begin(), answers.end());
  return measure(given, prices, seed);
}

double perplexity_of(double loss) {
  return std::exp(loss);
}

}  // namespace qlora
