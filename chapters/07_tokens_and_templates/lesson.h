// What chapter 7 shows at the terminal.
#pragma once

#include "core/json.h"

namespace qlora::chapter07 {

/// Prints the lesson: merges, two vocabularies, look-up, templates, labels, padding.
/// @return the same figures
Json tell();

}  // namespace qlora::chapter07
