// What chapter 17 shows at the terminal.
#pragma once

#include "core/json.h"

namespace qlora::chapter17 {

/// Prints the lesson: the embedded model's card, memory by method, gradients of several processes,
/// two GPUs by formula and as measured, and what first fits a cluster.
/// @return the same figures
Json tell();

}  // namespace qlora::chapter17
