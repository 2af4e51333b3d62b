// System calls, by seccomp: a list of those that a program which computes needs. Every other one
// ends as in a kernel that does not have it: sockets, new processes, other processes' memory and
// signals, System V IPC (which outlives its maker), io_uring, and what changes the owner, the mode
// or the times of a file, over which Landlock has no say.
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <initializer_list>

#include "sandbox.h"

namespace qlora::grader {
namespace {

constexpr auto kComputes = {
    // memory, threads, time
    "brk", "mmap", "munmap", "mprotect", "mremap", "madvise", "msync", "mincore", "membarrier",
    "futex", "set_robust_list", "get_robust_list", "set_tid_address", "rseq", "arch_prctl",
    "sched_yield", "sched_getaffinity", "sched_getparam", "sched_getscheduler", "getcpu",
    "get_mempolicy", "nanosleep", "clock_nanosleep", "clock_gettime", "clock_getres",
    "gettimeofday", "time", "times", "getrusage", "getrandom", "sysinfo", "uname", "getrlimit",
    "alarm", "setitimer", "getitimer", "pause", "exit", "exit_group", "restart_syscall",
    // files, which Landlock picks
    "read", "readv", "pread64", "preadv", "write", "writev", "pwrite64", "pwritev", "close",
    "close_range", "lseek", "fstat", "stat", "lstat", "newfstatat", "statx", "statfs", "fstatfs",
    "access", "faccessat", "faccessat2", "readlink", "readlinkat", "getdents64", "getcwd", "chdir",
    "fchdir", "dup", "dup2", "dup3", "fcntl", "ftruncate", "fallocate", "fsync", "fdatasync",
    "fadvise64", "umask", "mkdir", "mkdirat", "rmdir", "unlink", "unlinkat", "rename", "renameat",
    "renameat2", "symlink", "symlinkat", "pipe", "pipe2", "eventfd2", "poll", "ppoll", "select",
    "pselect6",
    // itself
    "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigpending", "rt_sigsuspend",
    "rt_sigtimedwait", "sigaltstack", "getpid", "getppid", "gettid", "getuid", "geteuid", "getgid",
    "getegid", "getpgrp", "getpgid", "getsid", "execve"};

constexpr auto kStartsProcesses = {"fork",     "vfork",     "clone",    "wait4",          "waitid",
                                   "execveat", "chmod",     "fchmod",   "fchmodat",       "link",
                                   "linkat",   "utimensat", "sendfile", "copy_file_range"};

bool allow(scmp_filter_ctx filter, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    const int number = seccomp_syscall_resolve_name(name);
    if (number == __NR_SCMP_ERROR) continue;  // this machine or library does not know it
    if (seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0) != 0) return false;
  }
  return true;
}

bool allow_if(scmp_filter_ctx filter, const char* name, scmp_arg_cmp condition) {
  return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, seccomp_syscall_resolve_name(name), 1,
                                &condition) == 0;
}

// Truncating a file that is opened for reading asks Landlock for no right to write before
// version 3.
bool allow_open(scmp_filter_ctx filter, const char* name, unsigned flags) {
  bool done = allow_if(filter, name, {flags, SCMP_CMP_MASKED_EQ, O_TRUNC, 0});
  for (const scmp_datum_t mode : {O_WRONLY, O_RDWR}) {
    done = done &&
           allow_if(filter, name, {flags, SCMP_CMP_MASKED_EQ, O_TRUNC | O_ACCMODE, O_TRUNC | mode});
  }
  return done;
}

bool add_rules(scmp_filter_ctx filter, bool processes) {
  const auto self = static_cast<scmp_datum_t>(::getpid());  // stays the same through execve
  bool done = allow(filter, kComputes) && allow_open(filter, "open", 1) &&
              allow_open(filter, "openat", 2) &&
              allow_if(filter, "ioctl", {1, SCMP_CMP_MASKED_EQ, 0xffffffff, TCGETS}) &&
              allow_if(filter, "prctl", {0, SCMP_CMP_EQ, PR_SET_NAME, 0}) &&
              // reading a limit, not setting one
              allow_if(filter, "prlimit64", {2, SCMP_CMP_EQ, 0, 0});
  for (const char* name : {"kill", "tgkill"}) {
    done = done && allow_if(filter, name, {0, SCMP_CMP_EQ, self, 0});
  }
  if (processes) return done && allow(filter, kStartsProcesses);
  return done && allow_if(filter, "clone", {0, SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD});
}

}  // namespace

bool restrict_syscalls(bool processes) {
  // "No such system call" rather than "not permitted": the C library then takes the older one that
  // is allowed (clone3, which hides its flags, against clone).
  scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
  if (filter == nullptr) return false;
  const bool done = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) == 0 &&
                    add_rules(filter, processes) && seccomp_load(filter) == 0;
  seccomp_release(filter);
  return done;
}

}  // namespace qlora::grader
