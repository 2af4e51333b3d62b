// The pictures of chapter 1.
#pragma once

#include <string>

namespace qlora::chapter01 {

/// Writes the SVG files of the lesson into a folder.
void draw(const std::string& folder);

}  // namespace qlora::chapter01
