// Errors with the file and the place where they happened, and the exit codes they end in.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

/// The library of the course.
namespace qlora {

/// Exit codes of every executable of the course.
enum class ExitCode {
  done = 0,
  check_failed = 1,   ///< a claim or a check failed
  usage = 2,          ///< an option that does not exist, or a value that the option cannot take
  bad_input = 3,      ///< a file, format or value that is wrong, or that is not there
  machine_lacks = 4,  ///< a device, memory or a facility that the machine does not have
};

/// What every function of the course throws; what() is one line for the user.
class Error : public std::runtime_error {
 public:
  /// @param code  what an executable ends with where nobody catches the error
  Error(ExitCode code, const std::string& line) : std::runtime_error(line), code_(code) {}
  /// The exit code that it was made with.
  ExitCode code() const { return code_; }

 private:
  ExitCode code_;
};

/// Untrusted input is wrong. what() is "file: place: what was found, what was expected".
class BadInput : public Error {
 public:
  /// @param file     the file, as the user named it; may be empty
  /// @param place    line, tensor name, JSON path or byte offset; may be empty
  /// @param problem  what was found and what was expected
  BadInput(std::string_view file, std::string_view place, std::string_view problem);
};

/// The command line is wrong.
class UsageError : public Error {
 public:
  /// @param line  names the option or the argument
  explicit UsageError(const std::string& line) : Error(ExitCode::usage, line) {}
};

/// The machine lacks what was asked for: what was needed, what there was, what would fit.
class MachineLacks : public Error {
 public:
  /// @param line  says all three
  explicit MachineLacks(const std::string& line) : Error(ExitCode::machine_lacks, line) {}
};

/// A device's memory ran out at run time.
class MemoryRanOut : public MachineLacks {
 public:
  /// @param line       how much was asked for, and how much there was
  /// @param available  bytes that this process could have in all
  MemoryRanOut(const std::string& line, std::int64_t available)
      : MachineLacks(line), available_(available) {}
  /// Bytes that this process could have in all: what it held then, and what was free.
  std::int64_t available() const { return available_; }

 private:
  std::int64_t available_;
};

/// A function was called with arguments that contradict each other: a mistake in the program.
/// @throws std::invalid_argument with the function's name and the condition that does not hold
void require(bool condition, const char* function, const char* what);

}  // namespace qlora
