// Picking the back end and the arithmetic of an op from a tensor, and what its checks share.
#pragma once

#include <string>

#include "core/tensor.h"

#if QLORA_HAS_CUDA
#include "ops/cuda/attention_cudnn.h"
#include "ops/cuda/dora.h"
#include "ops/cuda/elementwise.h"
#include "ops/cuda/head.h"
#include "ops/cuda/linear.h"
#include "ops/cuda/ops.h"
#include "ops/cuda/straight_through.h"
/// Leaves an op by its CUDA version where the tensor lies on a GPU.
#define QLORA_ON_GPU(tensor, call) \
  if ((tensor).device() == Device::cuda) return cuda::call
#else
#define QLORA_ON_GPU(tensor, call) static_assert(true, "")
#endif

namespace qlora::ops {

/// Calls f with a zero of the arithmetic's type: float or double on the CPU.
/// @throws MachineLacks naming the op where the tensor lies on a device that has no version of it
template <typename F>
void on_device(const Tensor& tensor, const char* op, F&& f) {
  if (tensor.device() != Device::cpu) {
    throw MachineLacks(std::string(op) + " has no CUDA version in this build");
  }
  switch (tensor.dtype()) {
    case DType::f32:
      return f(float{});
    case DType::f64:
      return f(double{});
    default:
      require(false, op, "float32 or float64 activations on the CPU");
  }
}

/// The elements of a tensor that may be empty: nullptr if it is.
template <typename T>
T* optional_data(const Tensor& t) {
  return t ? t.data<T>() : nullptr;
}

/// @throws std::invalid_argument naming the op unless t has `rows` rows of C columns, or on a GPU
/// of more: there may be room behind them
inline void check_room(const Tensor& t, std::int64_t rows, std::int64_t C, const char* op) {
  const bool fits = t.device() == Device::cpu ? t.dim(1) == C : t.dim(1) >= C;
  require(t.rank() == 2 && t.dim(0) == rows && fits, op, "rows of as many columns as it computes");
}

}  // namespace qlora::ops
