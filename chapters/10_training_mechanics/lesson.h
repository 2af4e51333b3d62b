// What chapter 10 shows at the terminal.
#pragma once

#include "core/json.h"

namespace qlora::chapter10 {

/// Prints the lesson: the loss and its gradient, the optimizer, the schedule, batches in parts, and
/// what each thing costs in memory.
/// @return the same figures
Json tell();

}  // namespace qlora::chapter10
