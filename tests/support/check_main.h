// What the programs that hold the course against itself have around them.
#pragma once

#include <cstdio>
#include <string>
#include <vector>

#include "core/error.h"

namespace qlora::testing {

/// Runs `check(arguments)` and returns its exit code; an error becomes one line on standard error
/// and the exit code of its kind, 1 where it has none.
template <typename Check>
int check_main(const char* name, Check&& check, int argc, char** argv) {
  try {
    return check(std::vector<std::string>(argv + 1, argv + argc));
  } catch (const Error& e) {
    std::fprintf(stderr, "%s: %s\n", name, e.what());
    return static_cast<int>(e.code());
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s: %s\n", name, e.what());
    return 1;
  }
}

}  // namespace qlora::testing
