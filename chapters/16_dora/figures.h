// The pictures of chapter 16.
#pragma once

#include <string>

namespace qlora::chapter16 {

/// Writes the lesson's SVG files into a folder.
void draw(const std::string& folder);

}  // namespace qlora::chapter16
