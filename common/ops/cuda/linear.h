// Linear layers with LoRA on the GPU: dequantize once, multiply by cuBLASLt.
#pragma once

#include "ops/linear.h"

namespace qlora::cuda {

/// See ops::linear_forward. x, residual and y in the dtype of the arithmetic; adapters in float32.
void linear_forward(const LinearGroup& group, const Tensor& x, const Tensor& residual,
                    const DropoutRun& run, Arena& arena, const Tensor& y, LinearSaved* saved);

/// See ops::linear_backward. Gradients of adapters are float32.
void linear_backward(const LinearGroup& group, const Tensor& x, const LinearSaved& saved,
                     const DropoutRun& run, const Tensor& dy, Arena& arena, const Tensor& dx);

}  // namespace qlora::cuda
