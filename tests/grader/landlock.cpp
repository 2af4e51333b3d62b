// Files, by Landlock: it needs no privileges. glibc has no wrappers for its three system calls.
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

#include "sandbox.h"

namespace qlora::grader {
namespace {

// Not in every version of the header; numbers of the kernel's interface.
constexpr std::uint64_t kRefer = std::uint64_t{1} << 13;     // since version 2
constexpr std::uint64_t kTruncate = std::uint64_t{1} << 14;  // since version 3

constexpr std::uint64_t kRead =
    LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
constexpr std::uint64_t kWrite = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
                                 LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR |
                                 LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SYM;
constexpr std::uint64_t kNever = LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_SOCK |
                                 LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK;
// What a rule on a single file may hold.
constexpr std::uint64_t kOnFiles = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE |
                                   LANDLOCK_ACCESS_FS_WRITE_FILE | kTruncate;

bool is_folder(int file) {
  const int again = ::openat(file, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (again >= 0) ::close(again);
  return again >= 0;
}

// A path that is not there needs no rule.
bool allow(int rules, const std::string& path, std::uint64_t access) {
  const int file = ::open(path.c_str(), O_PATH | O_CLOEXEC);
  if (file < 0) return true;
  if (!is_folder(file)) access &= kOnFiles;
  const landlock_path_beneath_attr rule{.allowed_access = access, .parent_fd = file};
  const bool added =
      ::syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
  ::close(file);
  return added;
}

}  // namespace

int landlock_version() {
  const long version =
      ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  return version < 0 ? 0 : static_cast<int>(version);
}

bool restrict_files(const Sandbox& sandbox) {
  const int version = landlock_version();
  const std::uint64_t newer = (version >= 2 ? kRefer : 0) | (version >= 3 ? kTruncate : 0);
  landlock_ruleset_attr attributes{};
  attributes.handled_access_fs = kRead | kWrite | kNever | newer;
  const int rules =
      static_cast<int>(::syscall(SYS_landlock_create_ruleset, &attributes, sizeof(attributes), 0));
  if (rules < 0) return false;
  bool done = true;
  for (const std::string& path : sandbox.readable) done = allow(rules, path, kRead) && done;
  for (const std::string& path : sandbox.writable) {
    done = allow(rules, path, kRead | kWrite | newer) && done;
  }
  done = allow(rules, "/dev/null", (kRead | kWrite | newer) & kOnFiles) && done;
  done = done && ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::syscall(SYS_landlock_restrict_self, rules, 0) == 0;
  ::close(rules);
  return done;
}

}  // namespace qlora::grader
