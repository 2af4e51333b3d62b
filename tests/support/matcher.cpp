#include "support/matcher.h"

#include <cmath>
#include <cstring>
#include <vector>

namespace qlora::testing {
namespace {

using ::testing::AssertionFailure;
using ::testing::AssertionResult;
using ::testing::AssertionSuccess;

std::vector<double> widened(const Tensor& t) {
  const Tensor d = t.to(DType::f64);
  return {d.data<double>(), d.data<double>() + d.numel()};
}

}  // namespace

AssertionResult all_close(std::span<const double> actual, std::span<const double> expected,
                          double absolute, double relative) {
  if (actual.size() != expected.size()) {
    return AssertionFailure() << actual.size() << " elements, expected " << expected.size();
  }
  std::size_t failures = 0;
  std::size_t worst = 0;
  double worst_excess = -1.0;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    if (actual[i] == expected[i]) continue;  // also equal infinities
    const double difference = std::abs(actual[i] - expected[i]);
    const double bound = absolute + relative * std::abs(expected[i]);
    if (std::isfinite(bound) && difference <= bound) continue;  // false for a NaN
    ++failures;
    const double excess = difference - bound;
    if (failures == 1 || !(excess <= worst_excess)) {
      worst = i;
      worst_excess = excess;
    }
  }
  if (failures == 0) return AssertionSuccess();
  return AssertionFailure() << failures << " of " << actual.size() << " elements differ; element "
                            << worst << " is " << actual[worst] << ", expected " << expected[worst]
                            << ", off by " << std::abs(actual[worst] - expected[worst])
                            << ", allowed " << absolute + relative * std::abs(expected[worst]);
}

AssertionResult all_close(const Tensor& actual, const Tensor& expected, double absolute,
                          double relative) {
  if (actual.shape() != expected.shape()) {
    return AssertionFailure() << "shape " << to_string(actual.shape()) << ", expected "
                              << to_string(expected.shape());
  }
  return all_close(widened(actual), widened(expected), absolute, relative);
}

AssertionResult close_to_largest(const Tensor& actual, const Tensor& expected, double bound) {
  double largest = 0.0;
  for (double x : widened(expected)) largest = std::max(largest, std::abs(x));
  return all_close(actual, expected, bound * largest);
}

AssertionResult is_close(double actual, double expected, double absolute, double relative) {
  return all_close(std::span<const double>(&actual, 1), std::span<const double>(&expected, 1),
                   absolute, relative);
}

AssertionResult same_bytes(const Tensor& actual, const Tensor& expected) {
  if (actual.dtype() != expected.dtype() || actual.shape() != expected.shape()) {
    return AssertionFailure() << safetensors_name(actual.dtype()) << to_string(actual.shape())
                              << ", expected " << safetensors_name(expected.dtype())
                              << to_string(expected.shape());
  }
  const auto* a = static_cast<const unsigned char*>(actual.raw());
  const auto* b = static_cast<const unsigned char*>(expected.raw());
  const std::size_t size = size_of(actual.dtype());
  std::size_t failures = 0;
  std::size_t first = 0;
  for (std::size_t i = 0; i < static_cast<std::size_t>(actual.numel()); ++i) {
    if (std::memcmp(a + i * size, b + i * size, size) == 0) continue;
    if (failures++ == 0) first = i;
  }
  if (failures == 0) return AssertionSuccess();
  return AssertionFailure() << failures << " of " << actual.numel()
                            << " elements have other bytes, the first at " << first;
}

}  // namespace qlora::testing
