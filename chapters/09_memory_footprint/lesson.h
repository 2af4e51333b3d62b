// What chapter 9 shows at the terminal.
#pragma once

#include "core/json.h"

namespace qlora::chapter09 {

/// Prints the lesson: the four footprints, what training adds, which card holds what, and the plan
/// beside what was measured.
/// @return the same figures
Json tell();

}  // namespace qlora::chapter09
