// AdamW whose moments are kept in 8 bits, as bitsandbytes has it: a quarter of the memory.
#pragma once

#include "ops/adamw.h"
#include "quantization/eight_bit_tensor.h"

namespace qlora {

/// Elements that share a maximum (bitsandbytes: Optimizer2State, block_wise).
inline constexpr std::int64_t kMomentBlock = 256;

/// Whether a parameter of so many elements has its moments in 8 bits: smaller ones gain nothing
/// and keep float32 (bitsandbytes: min_8bit_size).
inline bool has_8bit_moments(std::int64_t numel) {
  return numel >= 4096;
}

/// Bytes of both moments of a parameter: codes and maxima, or float32.
inline std::int64_t bytes_of_8bit_moments(std::int64_t numel) {
  if (!has_8bit_moments(numel)) return 8 * numel;
  return 2 * (numel + 4 * ((numel + kMomentBlock - 1) / kMomentBlock));
}

/// What a step reads and changes of one parameter in float32. Moments have its shape, and blocks of
/// kMomentBlock elements.
struct AdamW8bitTensors {
  Tensor gradient;     ///< read
  Tensor parameter;    ///< changed, as the moments are
  Blockwise8Tensor m;  ///< mean of gradients, with the signed map
  Blockwise8Tensor v;  ///< mean of their squares, with the unsigned one
};

/// The step without decay that restored moments make, before they are quantized again. Betas are
/// rounded to float32 first, as the library has them: 1 − β2 is 1e-5 of itself off 0.001 then.
inline AdamWStep step_of_8bit(AdamWStep step) {
  step.beta1 = static_cast<float>(step.beta1);
  step.beta2 = static_cast<float>(step.beta2);
  step.weight_decay = 0.0;
  return step;
}

namespace cpu {

/// See ops::adamw_8bit_all.
void adamw_8bit(const AdamWStep& step, const AdamW8bitTensors& tensors);

}  // namespace cpu
}  // namespace qlora
