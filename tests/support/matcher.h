// The one way in which tests compare floating-point numbers. A NaN never passes.
#pragma once

#include <gtest/gtest.h>

#include <span>

#include "core/tensor.h"

namespace qlora::testing {

/// Passes where |actual - expected| <= absolute + relative * |expected| for every element. Written
/// so that a NaN on either side, other sizes, or infinities that are not equal fail; equal
/// infinities pass. Reports the worst element and how many fail.
::testing::AssertionResult all_close(std::span<const double> actual,
                                     std::span<const double> expected, double absolute,
                                     double relative = 0.0);

/// The same for floating-point tensors of any dtypes, whose shapes must be equal.
::testing::AssertionResult all_close(const Tensor& actual, const Tensor& expected, double absolute,
                                     double relative = 0.0);

/// |actual - expected| <= bound * max|expected| everywhere: "relative to the tensor's largest".
::testing::AssertionResult close_to_largest(const Tensor& actual, const Tensor& expected,
                                            double bound);

/// One number.
::testing::AssertionResult is_close(double actual, double expected, double absolute,
                                    double relative = 0.0);

/// Equal dtype, shape and bytes.
::testing::AssertionResult same_bytes(const Tensor& actual, const Tensor& expected);

}  // namespace qlora::testing
