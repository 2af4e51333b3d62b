// The ops on the GPU. What each computes is said once, in ops/ops.h; arithmetic is in float32,
// activations are float32, bfloat16 or float16. All work is put on cuda::stream(), and nothing here
// waits for it, unless it says so.
#pragma once

#include "core/tensor.h"

namespace qlora::cuda {

/// See ops::rms_norm_forward. x, weight and y of one dtype; rstd (rows) F32.
void rms_norm_forward(const Tensor& x, const Tensor& weight, double eps, const Tensor& y,
                      const Tensor& rstd);

/// See ops::rms_norm_backward. dweight, where it is wanted, is F32.
void rms_norm_backward(const Tensor& dy, const Tensor& x, const Tensor& weight, const Tensor& rstd,
                       const Tensor& dx, const Tensor& dweight);

}  // namespace qlora::cuda
