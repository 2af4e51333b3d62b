#include "support/finite_difference.h"

#include <algorithm>
#include <cmath>

#include "core/random.h"

namespace qlora::testing {

Tensor normal_tensor(Shape shape, std::uint64_t seed, double scale) {
  Tensor t = Tensor::empty(DType::f64, std::move(shape));
  const Random random{seed, 0x74657374};
  for (std::int64_t i = 0; i < t.numel(); ++i) {
    t.data<double>()[i] = scale * static_cast<double>(random.normal(static_cast<std::uint64_t>(i)));
  }
  return t;
}

::testing::AssertionResult matches_finite_differences(const std::function<double()>& f,
                                                      const Tensor& x, const Tensor& gradient,
                                                      double tolerance) {
  if (x.shape() != gradient.shape()) {
    return ::testing::AssertionFailure() << "gradient of shape " << to_string(gradient.shape())
                                         << " for a tensor of shape " << to_string(x.shape());
  }
  double largest = 1.0;
  for (double g : gradient.span<double>()) {
    if (!std::isfinite(g)) return ::testing::AssertionFailure() << "a gradient is not finite";
    largest = std::max(largest, std::abs(g));
  }
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    double& xi = x.data<double>()[i];
    const double before = xi;
    const double h = 1e-6 * std::max(1.0, std::abs(before));
    xi = before + h;
    const double above = f();
    xi = before - h;
    const double below = f();
    xi = before;
    const double difference = (above - below) / (2 * h);
    const double g = gradient.data<double>()[i];
    if (!(std::abs(difference - g) <= tolerance * largest)) {
      return ::testing::AssertionFailure()
             << "element " << i << ": gradient " << g << ", finite difference " << difference;
    }
  }
  return ::testing::AssertionSuccess();
}

double weighted_sum(const Tensor& y, const Tensor& w) {
  double sum = 0;
  for (std::int64_t i = 0; i < y.numel(); ++i) sum += y.data<double>()[i] * w.data<double>()[i];
  return sum;
}

}  // namespace qlora::testing
