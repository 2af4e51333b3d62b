#include "quantization/quoted_quantiles.h"

#include <algorithm>

#include "quantization/normal_quantiles.h"

namespace qlora {

std::array<double, 16> normal_map_in(DerivationIn arithmetic) {
  std::array<double, 16> code{};
  for (std::size_t i = 0; i < 8; ++i) {
    const double length = 0.5 - kNormalMapOffset;
    const auto point = static_cast<double>(i);
    code[i] = normal_quantile(kNormalMapOffset + length * point / 8.0);
    if (i < 7) code[8 + i] = -normal_quantile(kNormalMapOffset + length * point / 7.0);
  }
  std::sort(code.begin(), code.end());
  const double largest = code.back();
  for (double& value : code) {
    const float rounded = static_cast<float>(value) / static_cast<float>(largest);
    value = arithmetic == DerivationIn::float64 ? value / largest : double{rounded};
  }
  return code;
}

std::array<double, 16> interval_middles() {
  std::array<double, 16> code;
  for (std::size_t i = 0; i < code.size(); ++i) {
    code[i] = normal_quantile((static_cast<double>(i) + 0.5) / 16.0) / normal_quantile(15.5 / 16.0);
  }
  return code;
}

std::array<double, 17> paper_equation_4() {
  std::array<double, 17> code;
  for (std::size_t i = 0; i < code.size(); ++i) {
    const auto point = static_cast<double>(i);
    code[i] = (normal_quantile(point / 17.0) + normal_quantile((point + 1.0) / 17.0)) / 2.0;
  }
  return code;
}

}  // namespace qlora
