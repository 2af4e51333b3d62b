// What chapter 2 shows at the terminal.
#pragma once

#include "core/json.h"

namespace qlora::chapter02 {

/// Prints the lesson. @return its figures
Json tell();

}  // namespace qlora::chapter02
