// A program under limits: started, watched, and ended with all that it started.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "sandbox.h"

namespace qlora::grader {

/// What is run, where and within what.
struct Command {
  std::vector<std::string> arguments;    ///< the program's path first
  std::vector<std::string> environment;  ///< "NAME=value", nothing else is passed on
  std::filesystem::path folder;          ///< its working folder; what it holds is watched
  Sandbox sandbox;
  double seconds = 10.0;          ///< by the clock
  std::size_t memory = 1u << 30;  ///< bytes, of each process
  std::size_t disk = 256u << 20;  ///< bytes in `folder`
  std::string row;                ///< a number: passed as QLORA_ROW with a pipe to report on
};

/// How it ended.
struct Ended {
  int code = -1;       ///< its exit code, or -1
  int signal = 0;      ///< that ended it, or 0
  std::string killed;  ///< why the grader ended it: "time", "memory", "disk", or ""
  std::string output;  ///< the beginning of standard output and standard error
  std::string report;  ///< what came through the pipe
  double seconds = 0.0;
};

/// Runs it to its end. When this returns, nothing that it started is left.
Ended run_limited(const Command& command);

/// Ends with it every process that descends from this one, also those which left their group or
/// whose parent has ended. For the grader's main: makes such orphans this process's children.
void adopt_orphans();

/// A folder of its own below the system's temporary one, removed in the end.
class ScratchFolder {
 public:
  ScratchFolder();
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace qlora::grader
