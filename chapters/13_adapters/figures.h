// The pictures of chapter 13.
#pragma once

#include <string>

namespace qlora::chapter13 {

/// Writes the lesson's SVG files into a folder.
void draw(const std::string& folder);

}  // namespace qlora::chapter13
