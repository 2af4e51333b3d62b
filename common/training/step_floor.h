// The least time that a training step can take: what it must compute and move, over what the device
// has been measured to do in a second.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "llama/training_shape.h"
#include "ops/timeline.h"

namespace qlora {

/// What a device does in a second.
struct DeviceRates {
  double products = 0;            ///< FLOP/s of matrix products at the model's own shapes
  double attention_forward = 0;   ///< FLOP/s, causal: a masked score counts nothing
  double attention_backward = 0;  ///< likewise
  /// Bytes read and written by a copy; 0: bytes are not counted, for caches hide them.
  double copy = 0;
};

/// The rates of a GPU that has been measured, with 16-bit arithmetic; nothing for another.
/// @param name  as the driver calls it, "NVIDIA H100 80GB HBM3"
std::optional<DeviceRates> gpu_rates(std::string_view name, DType arithmetic);

/// Those of one or two cores of a Xeon with AVX2 in float32: 121 and 235 GFLOP/s. Nothing for
/// another number of threads.
std::optional<DeviceRates> cpu_rates(int threads);

/// What the work of a step is bound by.
enum class Bound { products, attention_forward, attention_backward, bytes };

/// One part of a step. A multiply-add is two FLOPs.
struct StepCost {
  std::string name;                      ///< "base linears, forward", …
  ops::Part part = ops::Part::products;  ///< that a GPU's timeline counts it to
  Bound bound = Bound::products;         ///< what `amount` counts
  double amount = 0;                     ///< FLOPs, or bytes
};

/// The parts of a step of one micro-batch of B rows of T tokens, by formula (rows = B·T tokens,
/// e bytes an element of the arithmetic, L layers):
///   base linears      2 · rows · weights, forward, and again for dX; no dW of what is frozen
///   head              the same of V·C, for supervised rows only
///   attention         4 · B · H · D · T(T+1)/2 · L; its backward 2.5 times that
///   LoRA              2 · rows · parameters; its backward twice that
///   dequantization    a pass: codes and maxima read, e · weights written; two passes
///   norms, RoPE, SwiGLU, residuals, fused: e · (8C + 2(H+K)D + 3F) a row and layer forward,
///                     e · (8C + 2(H+K)D + 6F) backward
///   LoRA              forward each adapted input read once, backward inputs and dY once
///   cross-entropy     logits written, read, their gradient written
///   AdamW             28 bytes a parameter
/// and, by policy, what is computed again: nothing with keep; with lean q, k, v, gate and up with
/// their norms; with checkpoint and offload the whole forward pass but the head. (A decoder may
/// leave the down product out of that, whose output no gradient needs.)
std::vector<StepCost> step_costs(const TrainingShape& shape);

/// Seconds of one part.
double seconds_of(const StepCost& cost, const DeviceRates& rates);

/// Seconds of all parts, one after the other. Tokens a second are shape.rows() over it.
double step_floor(const std::vector<StepCost>& costs, const DeviceRates& rates);

/// Σ FLOPs of the parts, products and attention.
double flops_of(const std::vector<StepCost>& costs);

}  // namespace qlora
