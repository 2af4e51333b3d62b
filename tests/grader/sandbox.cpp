#include "sandbox.h"

#include <sys/wait.h>
#include <unistd.h>

namespace qlora::grader {
namespace {

// What programs and their libraries read at their start, and oneTBB to count processors.
const std::vector<std::string> kSystem = {"/usr",
                                          "/lib",
                                          "/lib64",
                                          "/bin",
                                          "/etc/ld.so.cache",
                                          "/etc/localtime",
                                          "/dev/zero",
                                          "/dev/urandom",
                                          "/proc/self",
                                          "/proc/cpuinfo",
                                          "/proc/meminfo",
                                          "/proc/stat",
                                          "/proc/sys/vm",
                                          "/sys/devices/system"};

// Whether f, which changes the process for good, works in a child.
template <typename F>
bool works(F f) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(f() ? 0 : 1);
  int status = 1;
  return child > 0 && ::waitpid(child, &status, 0) == child && status == 0;
}

bool has_landlock() {
  static const bool has = landlock_version() > 0 && works([] { return restrict_files({}); });
  return has;
}

bool has_seccomp() {
  static const bool has = works([] { return restrict_syscalls(false); });
  return has;
}

}  // namespace

std::vector<std::string> missing_protection() {
  std::vector<std::string> lines;
  if (!has_landlock()) {
    lines.emplace_back(
        "Landlock (Linux 5.13): files outside of the scratch folder are not protected");
  }
  if (!has_seccomp()) {
    lines.emplace_back("seccomp filters: network and new processes are not refused");
  }
  return lines;
}

bool confine(const Sandbox& sandbox) {
  Sandbox whole = sandbox;
  whole.readable.insert(whole.readable.end(), kSystem.begin(), kSystem.end());
  // Landlock first: its system calls are not on the list.
  return (!has_landlock() || restrict_files(whole)) &&
         (!has_seccomp() || restrict_syscalls(sandbox.processes));
}

}  // namespace qlora::grader
