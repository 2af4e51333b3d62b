// LSQ around the slow oracle. At the two ends, where the function has a kink, the paper's cases
// decide: there the value counts as cut off.
#include "lsq.h"

#include "slow_lsq.h"

namespace qlora {
namespace {

// Moved outward by little, so that finite differences at an end see the cut side.
double beyond_the_end(const Lsq& lsq, double v) {
  const testing::LsqCodes codes(lsq.bits);
  const double z = v / lsq.s;
  const double outward = 1e-4 * lsq.s;
  if (z >= codes.highest) return v + outward;
  return z <= codes.lowest ? v - outward : v;
}

}  // namespace

void lsq_forward(const Lsq& lsq, std::span<const double> v, std::span<double> v_q) {
  for (std::size_t i = 0; i < v.size(); ++i) {
    v_q[i] = testing::slow_code(lsq.bits, v[i] / lsq.s) * lsq.s;
  }
}

void lsq_backward(const Lsq& lsq, std::span<const double> v, std::span<const double> dv_q,
                  std::span<double> dv, double& ds) {
  const double n = static_cast<double>(v.size()), q_p = testing::LsqCodes(lsq.bits).highest;
  const double scale = 1.0 / std::sqrt(n * q_p);
  for (std::size_t i = 0; i < v.size(); ++i) {
    const double at = beyond_the_end(lsq, v[i]);
    dv[i] += dv_q[i] * testing::slow_dv(lsq.bits, at, lsq.s);
    ds += scale * dv_q[i] * testing::slow_ds(lsq.bits, at, lsq.s);
  }
}

double lsq_first_step(int bits, std::span<const double> v) {
  double sum = 0;
  for (const double x : v) sum += std::abs(x);
  const double mean = sum / static_cast<double>(v.size());
  return 2.0 * mean / std::sqrt(testing::LsqCodes(bits).highest);
}

}  // namespace qlora
