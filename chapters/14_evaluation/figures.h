// The pictures of chapter 14.
#pragma once

#include <string>

namespace qlora::chapter14 {

/// Writes the lesson's SVG files into a folder.
void draw(const std::string& folder);

}  // namespace qlora::chapter14
