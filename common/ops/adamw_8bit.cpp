#include "ops/adamw_8bit.h"

#include <algorithm>
#include <array>
#include <span>

#include "core/parallel.h"
#include "quantization/blockwise8.h"

namespace qlora::cpu {
namespace {

// One block of a moment: its codes, its maximum, and the map of all.
struct MomentBlock {
  std::span<std::uint8_t> codes;
  std::span<float, 1> absmax;
  std::span<const float> map;

  MomentBlock(const Blockwise8Tensor& moment, std::int64_t b, std::int64_t n)
      : codes(moment.codes.data<std::uint8_t>() + b * kMomentBlock, static_cast<std::size_t>(n)),
        absmax(moment.absmax.data<float>() + b, 1),
        map(moment.map.span<float>()) {}

  void read(std::span<float> values) const {
    dequantize_blockwise8(codes, map, absmax, kMomentBlock, values);
  }
  void write(std::span<const float> values) const {
    quantize_blockwise8(values, map, kMomentBlock, codes, absmax);
  }
};

// A mean that rounding has given the other sign, or none, gets the neighboring code: a step must
// not go uphill. In a block of zeros the code wraps, and means zero whatever it is.
// [signs]
void keep_signs(std::span<const float> m, std::span<const float> map,
                std::span<std::uint8_t> codes) {
  for (std::size_t i = 0; i < m.size(); ++i) {
    if (std::signbit(map[codes[i]]) == std::signbit(m[i])) continue;
    codes[i] = static_cast<std::uint8_t>(codes[i] + (m[i] > 0.0f ? 1 : -1));
  }
}
// [/signs]

// The arithmetic is that of adamw(), on moments that are restored for as long as it takes.
void update_block(const AdamWStep& step, float decay, const float* gradients, std::span<float> p,
                  const MomentBlock& m_block, const MomentBlock& v_block) {
  std::array<float, kMomentBlock> g_values, m_values, v_values;
  const std::span<float> m(m_values.data(), p.size()), v(v_values.data(), p.size());
  m_block.read(m);
  v_block.read(v);
  for (std::size_t i = 0; i < p.size(); ++i) {
    const bool finite = std::isfinite(gradients[i]);
    g_values[i] = finite ? gradients[i] : 0.0f;
    if (!finite) m[i] = v[i] = 0.0f;
  }
  adamw<float>(step, static_cast<std::int64_t>(p.size()), g_values.data(), p.data(), m.data(),
               v.data());
  for (float& x : p) x *= decay;
  m_block.write(m);
  v_block.write(v);
  keep_signs(m, m_block.map, m_block.codes);
}

}  // namespace

void adamw_8bit(const AdamWStep& step, const AdamW8bitTensors& t) {
  const Clip& clip = step.clip;
  if (clip.norm && gradient_factor(*clip.norm.data<double>(), clip.max_norm, clip.scale) == 0) {
    return;  // no step: restoring and quantizing again would change moments
  }
  const AdamWStep plain = step_of_8bit(step);
  const float decay = AdamWFactors<float>(step).decay;
  const std::int64_t n = t.parameter.numel();
  parallel_for(t.m.absmax.numel(), 16, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t b = begin; b < end; ++b) {
      const std::int64_t first = b * kMomentBlock, size = std::min(kMomentBlock, n - first);
      update_block(plain, decay, t.gradient.data<float>() + first,
                   {t.parameter.data<float>() + first, static_cast<std::size_t>(size)},
                   MomentBlock(t.m, b, size), MomentBlock(t.v, b, size));
    }
  });
}

}  // namespace qlora::cpu
