// Picking the back end and the arithmetic of an op from a tensor.
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

}  // namespace qlora::ops
