// What chapter 4 shows: where the half bit goes, the maxima of a tensor quantized in their turn,
// why their mean is taken off, and what all this costs in accuracy.
#pragma once

#include "core/json.h"

namespace qlora::chapter04 {

/// Prints the lesson.
/// @return its figures
Json tell();

}  // namespace qlora::chapter04
