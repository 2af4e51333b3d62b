// What chapter 3 shows: the 16 values, and one block there and back.
#pragma once

#include "core/json.h"

namespace qlora {

/// Prints the codebook and a block of 64 normal numbers, quantized and restored.
/// @return the same figures
Json print_lesson();

}  // namespace qlora
