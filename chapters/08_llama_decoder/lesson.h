// What chapter 8 shows at the terminal.
#pragma once

#include "core/json.h"
#include "course/ledger.h"

namespace qlora::chapter08 {

/// Prints the course's model part by part, and what the embedded one makes of a text.
/// @param ledger  the chapter's claims, computed
/// @return the same figures
Json tell(const Ledger& ledger);

}  // namespace qlora::chapter08
