// Linear layers with LoRA on the GPU: dequantize once, multiply by cuBLASLt, the adapters' part of
// the product riding along.
#pragma once

#include "ops/linear.h"

namespace qlora::cuda {

/// See ops::linear_forward. residual and y in the dtype of x; adapters in float32. x is (T, K +
/// room): where the adapters are folded their u = x·Aᵀ is written behind each row.
void linear_forward(const LinearGroup& group, const Tensor& x, const Tensor& residual,
                    const DropoutRun& run, Arena& arena, const Tensor& y, const LinearSaved* saved);

/// See ops::linear_backward. dy is (T, ΣN + room), or wider, and is written behind each row in the
/// same way. Gradients of adapters are float32.
void linear_backward(const LinearGroup& group, const Tensor& x, const LinearSaved& saved,
                     const DropoutRun& run, const Tensor& dy, Arena& arena, const Tensor& dx);

}  // namespace qlora::cuda
