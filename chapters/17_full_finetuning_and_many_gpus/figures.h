// The pictures of chapter 17.
#pragma once

#include <string>

namespace qlora::chapter17 {

/// Writes the lesson's SVG files into a folder.
void draw(const std::string& folder);

}  // namespace qlora::chapter17
