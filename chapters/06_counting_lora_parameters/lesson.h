// What chapter 6 shows at the terminal.
#pragma once

#include "core/json.h"

namespace qlora::chapter06 {

/// Prints the course's tables, each cell beside what it comes to.
/// @return the same figures
Json tell();

}  // namespace qlora::chapter06
