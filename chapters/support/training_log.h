// What a trainer logged, as a line of a chart.
#pragma once

#include <string>

#include "core/json.h"
#include "course/svg.h"

namespace qlora {

/// A member of the log's entries ("loss") over their steps; entries without it are left out.
/// @param times  a factor of every value
Series logged(const Json& log_history, const std::string& member, const std::string& name,
              double times = 1.0);

}  // namespace qlora
