// SwiGLU on the CPU.
#pragma once

#include <cstdint>

namespace qlora::cpu {

/// See ops::swiglu_forward.
template <typename T>
void swiglu_forward(std::int64_t rows, std::int64_t F, const T* gate_up, T* y);

/// See ops::swiglu_backward.
template <typename T>
void swiglu_backward(std::int64_t rows, std::int64_t F, const T* gate_up, const T* dy, T* dgate_up);

}  // namespace qlora::cpu
