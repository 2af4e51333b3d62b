// What chapter 1 shows at the terminal.
#pragma once

#include "core/json.h"

namespace qlora::chapter01 {

/// Prints the lesson. @return its figures
Json tell();

}  // namespace qlora::chapter01
