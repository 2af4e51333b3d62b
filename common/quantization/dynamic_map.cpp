#include "quantization/dynamic_map.h"

#include <algorithm>
#include <cmath>

namespace qlora {
namespace {

constexpr std::array<float, 7> kDecades{1e-6f, 1e-5f, 1e-4f, 1e-3f, 1e-2f, 1e-1f, 1.0f};

// Point i of torch.linspace(0.1, 1, points): counted from the nearer end, each with one rounding.
// Rounding the product by itself would change 42 of the 256 entries.
float linspace_point(int i, int points) {
  const float step = (1.0f - 0.1f) / static_cast<float>(points - 1);
  if (i < points / 2) return std::fmaf(step, static_cast<float>(i), 0.1f);
  return std::fmaf(-step, static_cast<float>(points - 1 - i), 1.0f);
}

}  // namespace

DynamicMap create_dynamic_map(bool is_signed) {
  DynamicMap map;
  std::size_t filled = 0;
  int values = is_signed ? 1 : 2;  // in the first decade; twice as many in each that follows
  for (const float decade : kDecades) {
    for (int k = 0; k < values; ++k) {
      const float sum = linspace_point(k, values + 1) + linspace_point(k + 1, values + 1);
      const float value = decade * (sum / 2.0f);
      map[filled++] = value;
      if (is_signed) map[filled++] = -value;
    }
    values *= 2;
  }
  map[filled++] = 0.0f;
  map[filled] = 1.0f;
  std::sort(map.begin(), map.end());
  return map;
}

}  // namespace qlora
