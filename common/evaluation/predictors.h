// What is reached without a language model: the yardsticks of the price task.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace qlora {

/// Prompts with their prices, in the same order.
struct PricedPrompts {
  std::vector<std::string> prompts;  ///< whole, with the question around the description
  std::vector<double> prices;        ///< in dollars
};

/// The middle price, or the mean of the two middle ones. @throws std::invalid_argument if empty
double median_of(std::span<const double> prices);

/// Σ x / n. @throws std::invalid_argument if empty
double mean_of(std::span<const double> prices);

/// For each test prompt the mean price of the training items of its category (the mean of all where
/// none has it). Nothing where a prompt is not of the price generator's making.
std::optional<std::vector<double>> category_means(const PricedPrompts& training,
                                                  std::span<const std::string> prompts);

/// For each test prompt the price of the training prompt that is nearest by its words: cosine of
/// TF-IDF vectors, tf = 1 + log(count), idf = log((1 + n) / (1 + df)) + 1 (scikit-learn,
/// TfidfVectorizer with smooth_idf and sublinear_tf); the mean price of equally near ones, and of
/// all where no word is shared.
std::vector<double> nearest_neighbors(const PricedPrompts& training,
                                      std::span<const std::string> prompts);

/// For each test prompt the rule's price without noise, in whole dollars: no predictor has a
/// smaller expected absolute error. Nothing where a prompt is not of the price generator's making.
std::optional<std::vector<double>> noise_floor(std::span<const std::string> prompts);

}  // namespace qlora
