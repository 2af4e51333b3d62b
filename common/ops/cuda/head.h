// The output head on the GPU.
#pragma once

#include "core/arena.h"
#include "core/tensor.h"

namespace qlora::cuda {

/// See ops::head_forward.
void head_forward(const Tensor& x, const Tensor& head, const Tensor& logits);

/// See ops::head_cross_entropy. `targets` lies on the host; losses and dhead are F32. Waits for the
/// sum.
double head_cross_entropy(const Tensor& x, const Tensor& head, const Tensor& targets,
                          double gradient_scale, Arena& arena, const Tensor& dx,
                          const Tensor& dhead, const Tensor& losses);

}  // namespace qlora::cuda
