// The figures of chapter 9.
#pragma once

#include <string>

namespace qlora::chapter09 {

/// Writes footprints.svg, batch.svg and measured.svg.
void draw(const std::string& folder);

}  // namespace qlora::chapter09
