#include "evaluation/predictors.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdint>
#include <map>
#include <numeric>
#include <string_view>
#include <unordered_map>

#include "core/error.h"
#include "text/prices.h"

namespace qlora {
namespace {

// Lower-case words: runs of letters and digits, and all bytes beyond ASCII.
std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  bool inside = false;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool belongs = byte >= 0x80 || std::isalnum(byte) != 0;
    if (belongs && !inside) words.emplace_back();
    if (belongs) words.back() += static_cast<char>(std::tolower(byte));
    inside = belongs;
  }
  return words;
}

// A text's weight for each word that the index knows; the vector has length 1.
using Vector = std::vector<std::pair<std::size_t, double>>;

// The training texts by word.
class Index {
 public:
  explicit Index(std::span<const std::string> texts) : texts_(texts.size()) {
    for (const std::string& text : texts) {
      for (const auto& [word, count] : counts(text)) {
        const auto [place, is_new] = ids_.try_emplace(word, documents_.size());
        if (is_new) documents_.push_back(0);
        ++documents_[place->second];
      }
    }
    postings_.resize(documents_.size());
    for (std::size_t t = 0; t < texts.size(); ++t) {
      for (const auto& [id, weight] : vector_of(texts[t])) postings_[id].push_back({t, weight});
    }
  }

  // Cosine of `text` with every training text.
  std::vector<double> similarities(const std::string& text) const {
    std::vector<double> cosine(texts_, 0.0);
    for (const auto& [id, weight] : vector_of(text)) {
      for (const auto& [t, other] : postings_[id]) cosine[t] += weight * other;
    }
    return cosine;
  }

 private:
  static std::map<std::string, int> counts(std::string_view text) {
    std::map<std::string, int> count;
    for (std::string& word : words_of(text)) ++count[std::move(word)];
    return count;
  }
  Vector vector_of(std::string_view text) const {
    Vector vector;
    double squares = 0.0;
    for (const auto& [word, count] : counts(text)) {
      const auto place = ids_.find(word);
      if (place == ids_.end()) continue;
      const double idf =
          std::log((1.0 + static_cast<double>(texts_)) / (1.0 + documents_[place->second])) + 1.0;
      const double weight = (1.0 + std::log(count)) * idf;
      vector.emplace_back(place->second, weight);
      squares += weight * weight;
    }
    for (auto& [id, weight] : vector) weight /= std::sqrt(squares);
    return vector;
  }

  std::size_t texts_;
  std::unordered_map<std::string, std::size_t> ids_;
  std::vector<double> documents_;  // training texts that hold the word
  std::vector<Vector> postings_;   // for each word: training text, weight
};

}  // namespace

double mean_of(std::span<const double> prices) {
  require(!prices.empty(), "mean_of", "at least one price");
  return std::accumulate(prices.begin(), prices.end(), 0.0) / static_cast<double>(prices.size());
}

double median_of(std::span<const double> prices) {
  require(!prices.empty(), "median_of", "at least one price");
  std::vector<double> sorted(prices.begin(), prices.end());
  std::ranges::sort(sorted);
  const std::size_t n = sorted.size();
  return (sorted[(n - 1) / 2] + sorted[n / 2]) / 2.0;
}

std::optional<std::vector<double>> category_means(const PricedPrompts& training,
                                                  std::span<const std::string> prompts) {
  struct Sum {
    double price = 0.0;
    double items = 0.0;
  };
  std::map<std::string, Sum> sums;
  for (std::size_t i = 0; i < training.prompts.size(); ++i) {
    const auto rule = price_rule(training.prompts[i]);
    if (!rule) return std::nullopt;
    Sum& sum = sums[rule->category];
    sum.price += training.prices[i];
    sum.items += 1.0;
  }
  std::vector<double> answers;
  for (const std::string& prompt : prompts) {
    const auto rule = price_rule(prompt);
    if (!rule) return std::nullopt;
    const auto sum = sums.find(rule->category);
    answers.push_back(sum == sums.end() ? mean_of(training.prices)
                                        : sum->second.price / sum->second.items);
  }
  return answers;
}

std::vector<double> nearest_neighbors(const PricedPrompts& training,
                                      std::span<const std::string> prompts) {
  // Sums of equal terms in another order differ in their last bits: equally near, all the same.
  constexpr double kEqual = 1e-9;
  const Index index(training.prompts);
  const double mean = mean_of(training.prices);
  std::vector<double> answers;
  for (const std::string& prompt : prompts) {
    const std::vector<double> cosine = index.similarities(prompt);
    const double nearest = *std::ranges::max_element(cosine);
    double price = 0.0;
    double items = 0.0;
    for (std::size_t t = 0; t < cosine.size(); ++t) {
      if (cosine[t] < nearest - kEqual) continue;
      price += training.prices[t];
      items += 1.0;
    }
    answers.push_back(nearest > 0.0 ? price / items : mean);
  }
  return answers;
}

std::optional<std::vector<double>> noise_floor(std::span<const std::string> prompts) {
  std::vector<double> answers;
  for (const std::string& prompt : prompts) {
    const auto rule = price_rule(prompt);
    if (!rule) return std::nullopt;
    answers.push_back(std::round(rule->price));
  }
  return answers;
}

}  // namespace qlora
