// What chapter 6 shows at the terminal.
#pragma once

#include "core/json.h"
#include "course/ledger.h"

namespace qlora::chapter06 {

/// Prints the course's tables, each cell beside what it comes to.
/// @param ledger  the chapter's claims, computed
/// @return the same figures
Json tell(const Ledger& ledger);

}  // namespace qlora::chapter06
