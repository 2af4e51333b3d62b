// The output head on the GPU.
#pragma once

#include "core/arena.h"
#include "core/tensor.h"

namespace qlora::cuda {

/// See ops::head_forward.
void head_forward(const Tensor& x, const Tensor& head, const Tensor& logits);

/// See ops::head_cross_entropy. `targets` lies on the host; sum (1) F64 on the device is added to.
/// Where there is no gradient to make, gradient_scale is not looked at.
void head_cross_entropy(const Tensor& x, const Tensor& head, const Tensor& targets,
                        double gradient_scale, Arena& arena, const Tensor& dx, const Tensor& dhead,
                        const Tensor& losses, const Tensor& sum);

}  // namespace qlora::cuda
