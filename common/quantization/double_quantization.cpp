#include "quantization/double_quantization.h"

#include <vector>

#include "quantization/blockwise8.h"
#include "quantization/flush.h"

namespace qlora {

// [levels]
float absmax_offset(std::span<const float> absmax) {
  if (absmax.empty()) return 0.0f;
  double sum = 0.0;
  for (const float value : absmax) sum += value;
  return flushed_product(static_cast<float>(sum), 1.0f / static_cast<float>(absmax.size()));
}

void quantize_absmax(std::span<const float> absmax, float offset,
                     std::span<const float> nested_code, std::int64_t nested_blocksize,
                     std::span<std::uint8_t> codes, std::span<float> nested_absmax) {
  std::vector<float> difference(absmax.begin(), absmax.end());
  for (float& value : difference) value -= offset;
  quantize_blockwise8(difference, nested_code, nested_blocksize, codes, nested_absmax);
}

void restore_absmax(std::span<const std::uint8_t> codes, std::span<const float> nested_code,
                    std::span<const float> nested_absmax, std::int64_t nested_blocksize,
                    float offset, std::span<float> absmax) {
  dequantize_blockwise8(codes, nested_code, nested_absmax, nested_blocksize, absmax);
  for (float& value : absmax) value = flush(value + offset);
}
// [/levels]

}  // namespace qlora
