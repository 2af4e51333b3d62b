// The slow oracle of attention with linear biases: one term at a time, in long double.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <vector>

#include "alibi.h"

namespace qlora::slow_alibi {

/// Slopes by the definition of the paper: start and ratio of a series of n heads are 2^(−8/n).
inline std::vector<double> series(std::int64_t n) {
  const double ratio = std::exp2(-8.0 / static_cast<double>(n));
  std::vector<double> slopes;
  double slope = ratio;
  for (std::int64_t h = 0; h < n; ++h, slope *= ratio) slopes.push_back(slope);
  return slopes;
}

/// The authors' rule for any number of heads.
inline std::vector<double> slopes(std::int64_t H) {
  std::int64_t n = 1;
  while (2 * n <= H) n *= 2;
  std::vector<double> all = series(n);
  const std::vector<double> finer = series(2 * n);
  for (std::size_t i = 0; static_cast<std::int64_t>(all.size()) < H; i += 2) {
    all.push_back(finer[i]);
  }
  return all;
}

/// Where the numbers of one query of one head begin.
struct Row {
  std::int64_t head = 0, key_head = 0, query = 0, position = 0;
};

/// Calls f for every query of every head.
inline void each_row(const AlibiShape& s, const std::function<void(const Row&)>& f) {
  for (std::int64_t h = 0; h < s.H; ++h) {
    for (std::int64_t t = 0; t < s.T; ++t) f({h, h / (s.H / s.K), t, s.S - s.T + t});
  }
}

/// The weights of the keys that a query sees, 0 … its own position.
inline std::vector<long double> weights(const AlibiShape& s, const Row& r, double slope,
                                        const double* q, const double* k) {
  std::vector<long double> w;
  long double sum = 0, largest = -1e300L;
  for (std::int64_t j = 0; j <= r.position; ++j) {
    long double score = 0;
    for (std::int64_t d = 0; d < s.D; ++d) {
      score += static_cast<long double>(q[(r.query * s.H + r.head) * s.D + d]) *
               k[(j * s.K + r.key_head) * s.D + d];
    }
    score /= std::sqrt(static_cast<long double>(s.D));
    score -= static_cast<long double>(slope) * static_cast<long double>(r.position - j);
    largest = std::max(largest, score);
    w.push_back(score);
  }
  for (long double& x : w) sum += x = std::exp(x - largest);
  for (long double& x : w) x /= sum;
  return w;
}

/// Attention with slopes that are given.
inline void attention(const AlibiShape& s, const std::vector<double>& slope, const double* q,
                      const double* k, const double* v, double* out) {
  each_row(s, [&](const Row& r) {
    const std::vector<long double> w = weights(s, r, slope[r.head], q, k);
    for (std::int64_t d = 0; d < s.D; ++d) {
      long double sum = 0;
      for (std::size_t j = 0; j < w.size(); ++j) {
        const auto key = static_cast<std::int64_t>(j);
        sum += w[j] * v[(key * s.K + r.key_head) * s.D + d];
      }
      out[(r.query * s.H + r.head) * s.D + d] = static_cast<double>(sum);
    }
  });
}

}  // namespace qlora::slow_alibi
