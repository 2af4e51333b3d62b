// The report at the terminal.
#pragma once

#include <string>
#include <vector>

#include "result.h"

namespace qlora::grader {

/// A table of rows a task; below it what failed, with its hint, and what to do next.
/// @param all_hints  show the hints of rows that are still to do, too
std::string screen(const std::vector<TaskResult>& tasks, bool all_hints);

}  // namespace qlora::grader
