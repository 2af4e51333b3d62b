// RMSNorm on the CPU.
#pragma once

#include <cstdint>

namespace qlora::cpu {

/// See ops::rms_norm_forward.
template <typename T>
void rms_norm_forward(std::int64_t rows, std::int64_t C, const T* x, const T* weight, T eps, T* y,
                      T* rstd);

/// See ops::rms_norm_backward; dweight may be nullptr.
template <typename T>
void rms_norm_backward(std::int64_t rows, std::int64_t C, const T* dy, const T* x, const T* weight,
                       const T* rstd, T* dx, T* dweight);

}  // namespace qlora::cpu
