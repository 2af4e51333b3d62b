#include "levels.h"

#include "quantization/double_quantization.h"
#include "quantization/dynamic_map.h"
#include "quantization/nf4.h"

namespace qlora::chapter04 {
namespace {

std::size_t blocks_of(std::size_t n, std::int64_t blocksize) {
  const auto size = static_cast<std::size_t>(blocksize);
  return (n + size - 1) / size;
}

struct FirstLevel {
  std::vector<std::uint8_t> packed;
  std::vector<float> absmax;
};

FirstLevel first_level(std::span<const float> w, std::int64_t blocksize) {
  FirstLevel q;
  q.packed.resize((w.size() + 1) / 2);
  q.absmax.resize(blocks_of(w.size(), blocksize));
  quantize_nf4(w, blocksize, q.packed, q.absmax);
  return q;
}

}  // namespace

std::vector<float> block_maxima(std::span<const float> w, std::int64_t blocksize) {
  return first_level(w, blocksize).absmax;
}

std::vector<float> restored_maxima(std::span<const float> absmax, const SecondLevel& level) {
  const float offset = level.subtract_mean ? absmax_offset(absmax) : 0.0f;
  const DynamicMap map = create_dynamic_map();
  std::vector<std::uint8_t> codes(absmax.size());
  std::vector<float> nested(blocks_of(absmax.size(), level.nested_blocksize));
  std::vector<float> restored(absmax.size());
  quantize_absmax(absmax, offset, map, level.nested_blocksize, codes, nested);
  restore_absmax(codes, map, nested, level.nested_blocksize, offset, restored);
  return restored;
}

std::vector<float> through_nf4(std::span<const float> w, std::int64_t blocksize,
                               const std::optional<SecondLevel>& level) {
  const FirstLevel q = first_level(w, blocksize);
  std::vector<float> restored(w.size());
  dequantize_nf4(q.packed, level ? restored_maxima(q.absmax, *level) : q.absmax, blocksize,
                 restored);
  return restored;
}

}  // namespace qlora::chapter04
