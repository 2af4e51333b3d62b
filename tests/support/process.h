// Other programs, run by the programs that hold the course against itself.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace qlora::testing {

/// How a program ended, and what it printed.
struct Ended {
  int exit_code = 0;       ///< means nothing where a signal or the time limit ended it
  int signal = 0;          ///< that ended it, or 0
  bool timed_out = false;  ///< it was killed, with all that it had started in its process group
  std::int64_t peak = 0;   ///< bytes that it had in memory at the most; at least the caller's own
  std::string output;      ///< standard output and standard error, as a terminal shows them

  /// Whether it ended by itself with exit code 0.
  bool ok() const { return !timed_out && signal == 0 && exit_code == 0; }
};

/// Runs a program to its end. Its standard input is empty. Several threads may do so at once.
/// @param arguments  the program, searched for on the PATH where it has no slash, and its arguments
/// @param folder     where it runs; what it prints is collected in a file there, and removed
/// @param seconds    after which it is killed
/// @throws MachineLacks if it cannot be started
Ended run_process(const std::vector<std::string>& arguments, const std::string& folder,
                  double seconds);

/// The words of a command as a shell splits it: spaces, quotes and backslashes; no expansion.
std::vector<std::string> shell_words(const std::string& command);

/// No process started from here on writes a file of more bytes: one that prints without end is
/// ended by a signal before the disk is full.
void limit_file_size(std::size_t bytes);

}  // namespace qlora::testing
