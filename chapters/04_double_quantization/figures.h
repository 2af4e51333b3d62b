// The figures of chapter 4.
#pragma once

#include <string>

namespace qlora::chapter04 {

/// Writes bits_per_weight, constants, added_error and error_against_bits as SVG into the folder.
/// @throws BadInput if a file cannot be written
void draw(const std::string& folder);

}  // namespace qlora::chapter04
