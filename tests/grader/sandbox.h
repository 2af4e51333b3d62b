// Where a stranger's program runs: it reads what it needs, writes into its scratch folder, and has
// no network, no other processes and no way to signal them.
#pragma once

#include <string>
#include <vector>

namespace qlora::grader {

/// What a confined program may do.
struct Sandbox {
  std::vector<std::string> readable;  ///< files and folders, beside the system's libraries
  std::vector<std::string> writable;  ///< folders
  bool processes = false;             ///< starts others, as a compiler does
};

/// What this machine lacks of the sandbox, a line each; empty where nothing is missing.
std::vector<std::string> missing_protection();

/// Confines this process, and all that it becomes or starts, with what the machine has.
/// @return false where a part that the machine has could not be put in force
bool confine(const Sandbox& sandbox);

/// Landlock (landlock.cpp): version of its interface, 0 where the kernel has none.
int landlock_version();
bool restrict_files(const Sandbox& sandbox);

/// seccomp (syscall_filter.cpp).
bool restrict_syscalls(bool processes);

}  // namespace qlora::grader
