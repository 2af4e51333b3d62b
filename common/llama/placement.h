// Models on a device.
#pragma once

#include "llama/model.h"

namespace qlora {

/// Where a model computes, and in which arithmetic: float32 or float64 on the CPU; float32,
/// bfloat16 or float16 on a GPU.
struct Placement {
  Device device = Device::cpu;    ///< where its tensors lie
  DType arithmetic = DType::f32;  ///< the dtype of activations and of dense weights
};

/// A dense weight there: converted where it is, then copied.
Tensor placed(const Placement& to, const Tensor& weight);

/// The same of all that a model consists of. Adapters, their gradients and the rotary tables stay
/// in float32 (float64 in its arithmetic); weights that share memory go on sharing it.
LlamaModel placed(const Placement& to, const LlamaModel& model);

/// The dtype of adapters, their gradients and their moments: at least float32.
DType adapter_dtype(DType arithmetic);

}  // namespace qlora
