// The output head on the GPU.
#pragma once

#include "ops/ops.h"

namespace qlora::cuda {

/// See ops::head_forward.
void head_forward(const Tensor& x, const Tensor& head, const Tensor& logits);

/// See ops::head_cross_entropy. losses and dhead are F32.
void head_cross_entropy(const Tensor& x, const Tensor& head, const ops::Supervised& supervised,
                        double gradient_scale, Arena& arena, const ops::HeadOutputs& out);

}  // namespace qlora::cuda
