// What chapter 14 shows at the terminal.
#pragma once

#include "core/json.h"

namespace qlora::chapter14 {

/// Prints the lesson: the yardsticks of the price task, what each figure sees, how certain it is,
/// two models over the same items, and three ways to fool oneself.
/// @return the same figures
Json tell();

}  // namespace qlora::chapter14
