// The figures of chapter 3.
#pragma once

#include <string>

namespace qlora::chapter03 {

/// Writes number_lines, derivation, histogram, error_by_blocksize_{normal,heavy_tailed,embedded}
/// and error_by_outlier as SVG into the folder.
/// @throws BadInput if a file cannot be written
void draw(const std::string& folder);

}  // namespace qlora::chapter03
