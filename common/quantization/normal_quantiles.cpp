#include "quantization/normal_quantiles.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "core/error.h"

namespace qlora {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kEpsilon = std::numeric_limits<double>::epsilon();

// Point i of torch.linspace(begin, end, points) in float32: counted from the nearer end.
float linspace_point(float begin, float end, int i, int points) {
  const float step = (end - begin) / static_cast<float>(points - 1);
  if (i < points / 2) return begin + step * static_cast<float>(i);
  return end - step * static_cast<float>(points - 1 - i);
}

}  // namespace

// [quantile]
double normal_quantile(double p) {
  require(p >= 0.0 && p <= 1.0, "normal_quantile", "a probability");
  const double tail = std::min(p, 1.0 - p);  // a small one keeps its digits
  double x = tail > 0.0 ? 0.0 : kInfinity;
  // Newton's steps on 1 - Φ(x) = tail. Beyond 0 the curve is convex: from 0 they never overshoot.
  for (double step = kInfinity; step > kEpsilon * x;) {
    const double density = std::exp(-x * x / 2.0) / std::sqrt(2.0 * std::numbers::pi);
    step = (std::erfc(x / std::numbers::sqrt2) / 2.0 - tail) / density;
    x += step;
  }
  return p < 0.5 ? -x : x;
}
// [/quantile]

// [map]
Codebook create_normal_map(double offset) {
  require(offset > 0.5 && offset < 1.0, "create_normal_map", "an offset between 1/2 and 1");
  const auto begin = static_cast<float>(offset);
  Codebook code{};  // the last of the 16 stays zero until they are sorted
  for (std::size_t i = 0; i < 8; ++i) {
    const int point = static_cast<int>(i);
    code[i] = static_cast<float>(normal_quantile(linspace_point(begin, 0.5f, point, 9)));
    if (i < 7) {
      code[8 + i] = -static_cast<float>(normal_quantile(linspace_point(begin, 0.5f, point, 8)));
    }
  }
  std::sort(code.begin(), code.end());
  const float largest = code.back();
  for (float& value : code) value /= largest;
  return code;
}
// [/map]

std::array<float, 15> midpoints(const Codebook& code) {
  std::array<float, 15> between;
  for (std::size_t k = 0; k < between.size(); ++k) between[k] = (code[k] + code[k + 1]) / 2.0f;
  return between;
}

}  // namespace qlora
