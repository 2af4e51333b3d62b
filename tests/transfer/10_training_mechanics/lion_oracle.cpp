// Lion without a running mean: at every step the mean is summed again over all gradients so far,
// m_t = β2^t · m_0 + Σ_{s<t} (1−β2) · β2^(t−1−s) · g_s.
#include "lion.h"

#include <cmath>
#include <vector>

namespace qlora {
namespace {

// The mean before step t, of one parameter.
long double mean_before(std::int64_t t, const LionSettings& c, long double start,
                        std::int64_t stride, const double* gradients) {
  const long double beta = c.beta2;
  long double sum = start * std::pow(beta, static_cast<long double>(t));
  for (std::int64_t s = 0; s < t; ++s) {
    const auto age = static_cast<long double>(t - 1 - s);
    sum += (1.0L - beta) * std::pow(beta, age) * static_cast<long double>(gradients[s * stride]);
  }
  return sum;
}

int sign_of(long double x) {
  return x > 0.0L ? 1 : x < 0.0L ? -1 : 0;
}

}  // namespace

void lion(const LionSettings& settings, std::int64_t steps, std::int64_t n, const double* gradients,
          double* p, double* m) {
  const LionSettings& c = settings;
  for (std::int64_t i = 0; i < n; ++i) {
    const auto start = static_cast<long double>(m[i]);
    for (std::int64_t t = 0; t < steps; ++t) {
      const long double mean = mean_before(t, c, start, n, gradients + i);
      const long double mixture =
          c.beta1 * mean + (1.0L - c.beta1) * static_cast<long double>(gradients[t * n + i]);
      const double direction = sign_of(mixture);
      p[i] -= c.lr * (direction + c.weight_decay * p[i]);
    }
    m[i] = static_cast<double>(mean_before(steps, c, start, n, gradients + i));
  }
}

}  // namespace qlora
