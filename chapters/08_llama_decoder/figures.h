// The figures of chapter 8.
#pragma once

#include <string>

namespace qlora::chapter08 {

/// Writes attention_maps.svg, rope_rotations.svg, rope_frequencies.svg and silu_relu.svg.
/// @throws BadInput
void draw(const std::string& folder);

}  // namespace qlora::chapter08
