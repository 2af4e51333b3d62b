// What chapter 14 measures: what a figure of a test set is worth.
#pragma once

#include <string>
#include <vector>

#include "evaluation/bootstrap.h"
#include "evaluation/comparison.h"
#include "evaluation/predictors.h"

namespace qlora::chapter14 {

/// The embedded items.
struct Items {
  PricedPrompts training;  ///< what a predictor may know
  PricedPrompts test;      ///< what it is asked
};
Items embedded_items();

/// Two ways to be wrong: what each figure says of it.
struct Answers {
  std::string name;       ///< in words
  double mae = 0.0;       ///< in dollars
  double hit_rate = 0.0;  ///< within 20 %
};

/// The rule's own price, always a quarter too high; and right but for every tenth answer, which has
/// a digit too many.
std::vector<Answers> ways_to_be_wrong(const PricedPrompts& test);

/// The nearest neighbor's error on the first n test items.
struct Narrowing {
  std::size_t n = 0;  ///< items
  double mae = 0.0;   ///< of them
  Interval ci95;      ///< of mae
};
std::vector<Narrowing> narrowing(const Items& items);

/// How often a 95 % interval from n items holds the truth.
struct Coverage {
  std::size_t n = 0;         ///< items of a sample
  double of_mae = 0.0;       ///< share of the samples whose interval holds the true mean error
  double of_hits = 0.0;      ///< likewise of a hit rate of 3 %
  double without_hit = 0.0;  ///< share of the samples in which nothing was hit
};
/// The truth is known here: samples are drawn from 20,000 fresh items of the price rule, which are
/// answered with the mean of their category.
std::vector<Coverage> coverage(const PricedPrompts& training);

/// Two predictors over the same n items, compared in two ways.
struct Comparing {
  std::size_t n = 0;  ///< items
  Difference paired;  ///< nearest neighbor less mean of the category, item by item
  Interval unpaired;  ///< of the same difference, with the items of each drawn by themselves
};
std::vector<Comparing> comparing(const Items& items);

/// The nearest neighbor's error where some of the test items are among the training items.
struct Leak {
  double share = 0.0;  ///< of the test items that leaked
  double mae = 0.0;    ///< over all of them
};
std::vector<Leak> leaks(const Items& items);

/// The best of several equal models, each measured on 100 items.
struct Looks {
  std::size_t models = 0;  ///< that were looked at
  double best = 0.0;       ///< its error on those items, on average over 500 such choices
  double truth = 0.0;      ///< its error on all others
};
std::vector<Looks> looks(const PricedPrompts& training);

/// The embedded base model's loss on the first 100 test answers.
struct Likelihood {
  double nats = 0.0;        ///< an answer
  double tokens = 0.0;      ///< an answer, with its end
  double characters = 0.0;  ///< an answer, in bytes
};
Likelihood likelihood();

}  // namespace qlora::chapter14
