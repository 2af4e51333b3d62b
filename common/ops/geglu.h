// GeGLU on the CPU.
#pragma once

#include <cstdint>

namespace qlora::cpu {

/// See ops::swiglu_forward with GateActivation::gelu_tanh.
template <typename T>
void geglu_forward(std::int64_t rows, std::int64_t F, const T* gate_up, T* y);

/// See ops::swiglu_backward with GateActivation::gelu_tanh.
template <typename T>
void geglu_backward(std::int64_t rows, std::int64_t F, const T* gate_up, const T* dy, T* dgate_up);

}  // namespace qlora::cpu
