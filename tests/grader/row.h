// One row of a rubric: a test in a process of its own.
#pragma once

#include <filesystem>
#include <string>

namespace qlora::grader {

/// How a row ended.
enum class State {
  pass,
  fail,
  crash,    ///< a signal, too much time or memory, or an end before the test's own
  todo,     ///< threw what a stub throws
  skipped,  ///< the machine lacks what the test needs
  missing,  ///< there is no such test, or no program
};

/// "pass", "FAIL", "CRASH", "todo", "skipped", "MISSING"
std::string word(State state);

/// What came of a row.
struct RowResult {
  State state = State::missing;
  std::string message;  ///< what failed, or how it crashed
  double seconds = 0.0;
};

/// How rows are run.
struct Settings {
  double seconds = 0.0;  ///< that a row may take; 0: what its exercise says
};

/// Runs one test of a program made with row_main.cpp.
RowResult run_row(const std::filesystem::path& program, const std::string& test, double seconds,
                  const Settings& settings);

/// Text of a stranger, for a terminal, JSON and HTML: without control characters but line breaks,
/// and what is no UTF-8 replaced; at most `limit` bytes.
std::string printable(const std::string& text, std::size_t limit = 4000);

}  // namespace qlora::grader
