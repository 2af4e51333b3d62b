// Wilson's interval by looking for its ends: whether a rate is in it is asked as its definition
// asks, and each end is where the answer changes, found by halving. The binomial probabilities are
// built up by n throws, one after the other, in long double.
#include "wilson.h"

#include <cmath>
#include <vector>

#include "core/error.h"

namespace qlora {
namespace {

bool is_in(long double p, long double h, long double n, long double z) {
  return std::fabs(h - p) <= z * std::sqrt(p * (1.0L - p) / n);
}

// Where being in it ends, between a rate that is in it and one that is not.
long double end_between(long double in, long double out, long double h, long double n,
                        long double z) {
  for (int i = 0; i < 200; ++i) {
    const long double middle = (in + out) / 2.0L;
    (is_in(middle, h, n, z) ? in : out) = middle;
  }
  return in;
}

void check(std::int64_t hits, std::int64_t n, double z) {
  require(n >= 1 && hits >= 0 && hits <= n && z > 0.0, "wilson", "0 <= hits <= n, z > 0");
}

}  // namespace

Interval wilson(std::int64_t hits, std::int64_t n, double z) {
  check(hits, n, z);
  const auto items = static_cast<long double>(n);
  const long double h = static_cast<long double>(hits) / items;
  Interval ends;
  // h is in it; a rate of exactly 0 or 1 has no deviation, and is in it only where h is the same.
  ends.low = hits == 0 ? 0.0 : static_cast<double>(end_between(h, 0.0L, h, items, z));
  ends.high = hits == n ? 1.0 : static_cast<double>(end_between(h, 1.0L, h, items, z));
  return ends;
}

double wilson_coverage(double rate, std::int64_t n, double z) {
  check(0, n, z);
  require(rate >= 0.0 && rate <= 1.0, "wilson_coverage", "a rate in 0 … 1");
  std::vector<long double> probability(static_cast<std::size_t>(n) + 1, 0.0L);
  probability[0] = 1.0L;
  for (std::int64_t thrown = 0; thrown < n; ++thrown) {
    for (auto k = static_cast<std::size_t>(thrown) + 1; k > 0; --k) {
      probability[k] = probability[k] * (1.0L - rate) + probability[k - 1] * rate;
    }
    probability[0] *= 1.0L - rate;
  }
  long double covered = 0.0L;
  for (std::int64_t k = 0; k <= n; ++k) {
    const Interval ends = wilson(k, n, z);
    if (ends.low <= rate && rate <= ends.high) covered += probability[static_cast<std::size_t>(k)];
  }
  return static_cast<double>(covered);
}

}  // namespace qlora
