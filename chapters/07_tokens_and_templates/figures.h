// The figures of chapter 7.
#pragma once

#include <string>

namespace qlora::chapter07 {

/// Draws compression.svg, texts.svg and padding.svg into a folder.
void draw(const std::string& folder);

}  // namespace qlora::chapter07
