// A group of linear layers whose weight passes see quantized and restored: on either device.
#pragma once

#include <functional>

#include "ops/linear.h"

namespace qlora::ops {

/// The group's dense weight (ΣN,K) as a pass sees it: itself, or where a projection has a fake
/// format a copy in the arena, in which that one's rows are quantized and restored.
Tensor seen_weight(const LinearGroup& group, Arena& arena);

/// dW (columns, K) += dyᵀ (columns, T) · x (T,K) of the columns of dy from `column` on.
using AddProduct = std::function<void(std::int64_t column, std::int64_t columns, const Tensor& dW)>;

/// Adds to group.grad_weight: in one product, or where a projection has a fake format in one for
/// each projection, whose gradient goes through fake_quantize_backward().
void add_weight_gradient(const LinearGroup& group, Arena& arena, const AddProduct& add);

}  // namespace qlora::ops
