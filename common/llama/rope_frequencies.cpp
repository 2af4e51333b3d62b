// Inverse frequencies of the rotary embedding, with the scaling of DeepSeek-Coder and that of
// Llama 3.1 and 3.2.
#include <cmath>
#include <numbers>

#include "llama/config.h"

namespace qlora {

std::vector<float> inverse_frequencies(const LlamaConfig& config) {
  const RopeScaling& r = config.rope_scaling;
  const auto original = static_cast<float>(r.original_max_position_embeddings);
  const auto low = static_cast<float>(r.low_freq_factor);
  const auto high = static_cast<float>(r.high_freq_factor);
  const auto factor = static_cast<float>(r.factor);
  std::vector<float> frequencies;
  for (std::int64_t i = 0; i < config.head_dim / 2; ++i) {
    // In float32 throughout, as torch does it: exponent, power and reciprocal each rounded.
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(config.head_dim);
    const float f = 1.0f / std::pow(static_cast<float>(config.rope_theta), exponent);
    if (r.rope_type != "llama3") {
      frequencies.push_back(f / factor);  // 1 where nothing is scaled
      continue;
    }
    const float wavelength = 2.0f * std::numbers::pi_v<float> / f;
    if (wavelength > original / low) {  // longer than the context it was trained on: slowed down
      frequencies.push_back(f / factor);
    } else if (wavelength < original / high) {
      frequencies.push_back(f);
    } else {
      const float smooth = (original / wavelength - low) / (high - low);
      frequencies.push_back((1.0f - smooth) * f / factor + smooth * f);
    }
  }
  return frequencies;
}

}  // namespace qlora
