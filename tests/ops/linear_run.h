// One pass forward and back through a group of linear layers, in float64, for finite differences.
#pragma once

#include "ops/ops.h"
#include "support/finite_difference.h"

namespace qlora::testing {

/// Four random rows x, and a residual, through the group. Once it is made, dx and the group's own
/// gradients are those of loss().
struct LinearRun {
  const LinearGroup& group;
  DropoutRun run;
  Arena arena;
  Tensor x = normal_tensor({4, group.K}, 2);           ///< (4,K)
  Tensor residual = normal_tensor({4, group.N()}, 3);  ///< (4,N)
  Tensor w = normal_tensor({4, group.N()}, 4);         ///< (4,N), the gradient of y
  Tensor y = Tensor::zeros(DType::f64, w.shape());     ///< (4,N)
  Tensor dx = normal_tensor({4, group.K}, 5);          ///< (4,K)

  LinearRun(const LinearGroup& of, const DropoutRun& in) : group(of), run(in) {
    const LinearSaved saved = take_saved(group, 4, DType::f64, arena);
    ops::linear_forward(group, x, residual, run, arena, y, &saved);
    ops::linear_backward(group, x, saved, run, w, arena, dx);
  }

  /// Σ w ⊙ y of a new forward pass.
  double loss() {
    ops::linear_forward(group, x, residual, run, arena, y, nullptr);
    return weighted_sum(y, w);
  }
};

}  // namespace qlora::testing
