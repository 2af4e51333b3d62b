// The figures of chapter 10.
#pragma once

#include <string>

namespace qlora::chapter10 {

/// Writes schedules.svg, learning_rate.svg and moments.svg.
void draw(const std::string& folder);

}  // namespace qlora::chapter10
