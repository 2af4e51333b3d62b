// An op on the GPU beside its twin on the CPU: fresh random inputs, poisoned outputs, and the bound
// that the format gives.
#pragma once

#include <gtest/gtest.h>

#include <vector>

#include "core/tensor.h"
#include "ops/device_memory.h"

/// Skips the test where there is no GPU, or where the build cannot use it.
#define SKIP_WITHOUT_GPU()                                     \
  if (!::qlora::ops::has_gpu()) GTEST_SKIP() << "needs a GPU"; \
  static_assert(true, "")

namespace qlora::testing {

/// The arithmetic of the device that a test goes through.
inline const std::vector<DType> kDeviceTypes{DType::f32, DType::bf16, DType::f16};

/// Whether a kernel takes a hundred times longer than it should, as under a sanitizer:
/// QLORA_TEST_SIZES=small says so.
bool is_slow();

/// What a test goes through: `all` of it, or where kernels are slow the `few` that still reach
/// every branch: a tile that is full, one that is not, and more of them than one.
template <typename T>
std::vector<T> sizes(const std::vector<T>& all, const std::vector<T>& few) {
  return is_slow() ? few : all;
}

/// How often a kernel runs on equal inputs, to give equal bits.
inline const int kRuns = is_slow() ? 1 : 3;

/// Half the distance from 1 to the next number: 2^-24, 2^-8, 2^-11.
double unit_roundoff(DType dtype);

/// Half the distance of the numbers around zero, where rounding is not relative: 2^-25 in float16;
/// the other formats reach far below anything that is tested.
double smallest_rounding(DType dtype);

/// The largest magnitude in a float32 tensor on the host.
double largest(const Tensor& tensor);

/// scale · N(0, 1) in the dtype, on the host. Streams differ from run to run: seeds come from the
/// clock, and a failing test prints its own.
Tensor random_tensor(DType dtype, Shape shape, std::uint64_t stream, float scale = 1.0f);

/// On the GPU, every byte 0xff: an element that is never written is a NaN.
Tensor poisoned(DType dtype, Shape shape);

/// A copy on the GPU, and a copy on the host in float32 (integers as they are).
Tensor to_gpu(const Tensor& tensor);
Tensor to_host(const Tensor& tensor);

/// The host's copy of a tensor in float32: what the CPU's twin computes with.
Tensor widened(const Tensor& tensor);

/// A host matrix (rows,C) on the GPU with `room` more columns behind each row's own, poisoned.
Tensor with_room(const Tensor& matrix, std::int64_t room);

/// Whether |ours - theirs| <= absolute + relative · |theirs| everywhere; no NaN passes. `ours` lies
/// on the GPU, in any floating-point dtype; where its rows are longer, the room behind theirs is
/// not looked at.
::testing::AssertionResult near_twin(const Tensor& ours, const Tensor& theirs, double relative,
                                     double absolute);

/// Whether the bytes of two device tensors are the same.
::testing::AssertionResult same_on_gpu(const Tensor& a, const Tensor& b);

}  // namespace qlora::testing
