// The pictures of chapter 15.
#pragma once

#include <string>

namespace qlora::chapter15 {

/// Writes the lesson's SVG files into a folder.
void draw(const std::string& folder);

}  // namespace qlora::chapter15
