// Rotary position embedding on the CPU.
#pragma once

#include <cstdint>

namespace qlora::cpu {

/// See ops::rope_forward. positions (rows); `sign` is 1 for the forward pass, -1 for the backward
/// pass (the inverse rotation).
template <typename T>
void rope(std::int64_t rows, std::int64_t ld, std::int64_t heads, std::int64_t D,
          const std::int32_t* positions, const float* cos, const float* sin, T sign, T* x);

}  // namespace qlora::cpu
