// What chapter 16 shows at the terminal.
#pragma once

#include "core/json.h"

namespace qlora::chapter16 {

/// Prints the lesson: LoRA and DoRA at equal rank, and the scaling of rsLoRA.
/// @return the same figures
Json tell();

}  // namespace qlora::chapter16
