// How every executable of the course ends: its exit code, and one line about what went wrong.
#pragma once

#include <functional>

#include "course/options.h"

namespace qlora {

/// Parses the command line, prints the help where it is asked for, and calls the action of the
/// executable or of the verb. Errors end as in run_main().
int run(int argc, char** argv, Options& options);

/// Calls f and returns its exit code. An exception becomes one line on standard error and its exit
/// code: that of a qlora::Error; 4 where memory runs out; 1 for NotWritten and for any other.
int run_main(const std::string& program, const std::function<int()>& f);

}  // namespace qlora
