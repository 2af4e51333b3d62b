// Gradients against finite differences, in double.
#pragma once

#include <gtest/gtest.h>

#include <functional>

#include "core/tensor.h"

namespace qlora::testing {

/// A tensor of F64 normal numbers times `scale`, no two of them equal.
Tensor normal_tensor(Shape shape, std::uint64_t seed, double scale = 1.0);

/// Compares `gradient` with (f(x+h) − f(x−h)) / 2h for every element of x (F64), h = 1e-6 ·
/// max(1,|x|).
///
/// Error: truncation h²/6·|f'''| ≈ 1e-13 for functions of order one, and cancellation
/// ε·|f|/h ≈ 2e-16·|f|/1e-6 = 2e-10·|f|. `tolerance` is on |difference| relative to the largest
/// gradient (at least 1): 1e-7 leaves a factor of some hundred for sums of many terms.
/// x is as before when it returns.
::testing::AssertionResult matches_finite_differences(const std::function<double()>& f,
                                                      const Tensor& x, const Tensor& gradient,
                                                      double tolerance = 1e-7);

/// Σ_i w_i y_i with fixed weights w: a scalar whose gradient with respect to y is w.
double weighted_sum(const Tensor& y, const Tensor& w);

}  // namespace qlora::testing
