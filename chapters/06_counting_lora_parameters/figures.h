// The figures of chapter 6.
#pragma once

#include <string>

namespace qlora::chapter06 {

/// Writes parameters_rank.svg and rank_table.svg. @throws BadInput
void draw(const std::string& folder);

}  // namespace qlora::chapter06
