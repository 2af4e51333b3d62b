// What chapter 13 shows at the terminal.
#pragma once

#include "core/json.h"

namespace qlora::chapter13 {

/// Prints the lesson: what survives of an update where it is merged, and what combining keeps.
/// @return the same figures
Json tell();

}  // namespace qlora::chapter13
