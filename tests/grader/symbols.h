// What a submitted object may define and refer to.
#pragma once

#include <string>

namespace qlora::grader {

/// Why the object is not linked, or "". It may not define names of C (with a `write` of its own it
/// would sit between the tests and the grader), names of std, memory allocation, or `main`, and may
/// not touch the test framework.
/// @param symbols  output of nm --format=posix
std::string refusal(const std::string& symbols);

}  // namespace qlora::grader
