// What chapter 3 shows: the 16 values and where they come from, a block there and back, and how NF4
// does beside other formats, on drawn numbers and on a real model.
#pragma once

#include "core/json.h"

namespace qlora::chapter03 {

/// Prints the lesson.
/// @return its figures
Json tell();

}  // namespace qlora::chapter03
