// The pictures of chapter 2.
#pragma once

#include <string>

namespace qlora::chapter02 {

/// Writes the SVG files of the lesson into a folder.
void draw(const std::string& folder);

}  // namespace qlora::chapter02
