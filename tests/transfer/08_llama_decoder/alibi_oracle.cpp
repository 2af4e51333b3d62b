// Attention with linear biases by the slow oracle. The slopes' gradient is the mean over what a
// query sees of −distance · (what the key's value adds − what all of them add).
#include "alibi.h"
#include "slow_alibi.h"

namespace qlora {

std::vector<double> alibi_slopes(std::int64_t H) {
  return slow_alibi::slopes(H);
}

void alibi_attention(const AlibiShape& s, const double* q, const double* k, const double* v,
                     double* out) {
  slow_alibi::attention(s, alibi_slopes(s.H), q, k, v, out);
}

void alibi_slope_gradient(const AlibiShape& s, const double* q, const double* k, const double* v,
                          const double* dout, double* dslope) {
  const std::vector<double> slope = alibi_slopes(s.H);
  slow_alibi::each_row(s, [&](const slow_alibi::Row& r) {
    const std::vector<long double> w = slow_alibi::weights(s, r, slope[r.head], q, k);
    const auto adds = [&](std::int64_t j) {
      long double sum = 0;
      for (std::int64_t d = 0; d < s.D; ++d) {
        sum += static_cast<long double>(dout[(r.query * s.H + r.head) * s.D + d]) *
               v[(j * s.K + r.key_head) * s.D + d];
      }
      return sum;
    };
    long double mean = 0, gradient = 0;
    for (std::int64_t j = 0; j <= r.position; ++j) mean += w[j] * adds(j);
    for (std::int64_t j = 0; j <= r.position; ++j) {
      gradient -= w[j] * (adds(j) - mean) * static_cast<long double>(r.position - j);
    }
    dslope[r.head] += static_cast<double>(gradient);
  });
}

}  // namespace qlora
