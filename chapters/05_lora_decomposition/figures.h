// The figures of chapter 5.
#pragma once

#include <string>

namespace qlora::chapter05 {

/// Writes rank_error.svg, loss_rank.svg and first_steps.svg. @throws BadInput
void draw(const std::string& folder);

}  // namespace qlora::chapter05
