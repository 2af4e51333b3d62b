// What chapter 5 shows at the terminal.
#pragma once

#include "core/json.h"

namespace qlora::chapter05 {

/// Prints the lesson: two matrices for one, what rank can hold, the first step, rank and alpha.
/// @return the same figures
Json tell();

}  // namespace qlora::chapter05
