// Float32 values rounded to what a 16-bit dtype can hold.
#pragma once

#include <span>

#include "core/dtype.h"

namespace qlora {

/// Rounds every value in place to the nearest that `dtype` (f32, f16 or bf16) can hold, ties to
/// even, as to_float(to_half(x)) does, but for whole vectors at a time. f32 leaves them as they
/// are.
/// @throws std::invalid_argument on another dtype
void round_to(DType dtype, std::span<float> values);

}  // namespace qlora
