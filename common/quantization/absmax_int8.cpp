#include "quantization/absmax_int8.h"

#include <cmath>

#include "core/error.h"
#include "core/sizes.h"
#include "quantization/block_absmax.h"

namespace qlora {
namespace {

void require_sizes(const char* function, std::int64_t rows, std::int64_t columns, std::size_t x,
                   std::size_t q, std::size_t absmax) {
  require(rows >= 0 && columns >= 0, function, "rows and columns of at least zero");
  require(has_elements(x, rows, columns) && q == x, function, "rows * columns values and integers");
  require(absmax == static_cast<std::size_t>(rows), function, "one absmax a row");
}

}  // namespace

void quantize_rowwise_int8(std::span<const float> x, std::int64_t rows, std::int64_t columns,
                           std::span<std::int8_t> q, std::span<float> absmax) {
  require_sizes("quantize_rowwise_int8", rows, columns, x.size(), q.size(), absmax.size());
  const auto width = static_cast<std::size_t>(columns);
  for (std::size_t r = 0; r < absmax.size(); ++r) {
    const std::span<const float> row = x.subspan(r * width, width);
    absmax[r] = block_absmax(row);
    const float to_127 = 127.0f * block_reciprocal(absmax[r]);
    for (std::size_t k = 0; k < width; ++k) {
      const float scaled = std::nearbyint(row[k] * to_127);
      // 0 * inf and inf * 0 are NaN, which no integer stands for
      q[r * width + k] = std::isnan(scaled) ? std::int8_t{0} : static_cast<std::int8_t>(scaled);
    }
  }
}

void dequantize_rowwise_int8(std::span<const std::int8_t> q, std::span<const float> absmax,
                             std::int64_t rows, std::int64_t columns, std::span<float> x) {
  require_sizes("dequantize_rowwise_int8", rows, columns, x.size(), q.size(), absmax.size());
  const auto width = static_cast<std::size_t>(columns);
  for (std::size_t i = 0; i < q.size(); ++i) {
    x[i] = static_cast<float>(q[i]) * absmax[i / width] * (1.0f / 127.0f);
  }
}

}  // namespace qlora
