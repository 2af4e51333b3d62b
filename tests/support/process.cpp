#include "support/process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <atomic>
#include <cctype>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <thread>

#include "core/error.h"
#include "core/files.h"

extern char** environ;

namespace qlora::testing {
namespace {

using Clock = std::chrono::steady_clock;

pid_t start(const std::vector<std::string>& arguments, const std::string& folder,
            const std::string& output) {
  std::vector<std::string> copies(arguments);
  std::vector<char*> pointers;
  pointers.reserve(copies.size() + 1);
  for (std::string& a : copies) pointers.push_back(a.data());
  pointers.push_back(nullptr);

  posix_spawn_file_actions_t files;
  ::posix_spawn_file_actions_init(&files);
  ::posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_addopen(&files, 1, output.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  ::posix_spawn_file_actions_adddup2(&files, 1, 2);
  ::posix_spawn_file_actions_addchdir_np(&files, folder.c_str());
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  ::posix_spawnattr_setpgroup(&attributes, 0);

  pid_t child = 0;
  const int error =
      ::posix_spawnp(&child, pointers[0], &files, &attributes, pointers.data(), environ);
  ::posix_spawn_file_actions_destroy(&files);
  ::posix_spawnattr_destroy(&attributes);
  if (error != 0) {
    throw MachineLacks(arguments[0] + ": could not be started: " + std::strerror(error));
  }
  return child;
}

// Waits for the child; false where the time is over.
bool wait_until(pid_t child, Clock::time_point deadline, int& status, rusage& used) {
  while (::wait4(child, &status, WNOHANG, &used) == 0) {
    if (Clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(3));
  }
  return true;
}

}  // namespace

Ended run_process(const std::vector<std::string>& arguments, const std::string& folder,
                  double seconds) {
  static std::atomic<int> count{0};
  const std::string output = folder + "/.output-" + std::to_string(++count);
  const auto limit =
      std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  const Clock::time_point deadline = Clock::now() + limit;
  const pid_t child = start(arguments, folder, output);
  Ended ended;
  int status = 0;
  rusage used{};
  if (!wait_until(child, deadline, status, used)) {
    ended.timed_out = true;
    ::kill(-child, SIGKILL);
    ::wait4(child, &status, 0, &used);
  }
  ended.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
  ended.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  ended.peak = std::int64_t{used.ru_maxrss} * 1024;
  ended.output = read_file(output);
  std::remove(output.c_str());
  return ended;
}

std::vector<std::string> shell_words(const std::string& command) {
  std::vector<std::string> words;
  bool inside = false;  // a word
  char quote = 0;
  for (std::size_t i = 0; i < command.size(); ++i) {
    const char c = command[i];
    if (quote == 0 && std::isspace(static_cast<unsigned char>(c)) != 0) {
      inside = false;
      continue;
    }
    if (!inside) words.emplace_back();
    inside = true;
    if (c == '\\' && quote != '\'' && i + 1 < command.size()) {
      words.back() += command[++i];
    } else if (c == quote) {
      quote = 0;
    } else if (quote == 0 && (c == '"' || c == '\'')) {
      quote = c;
    } else {
      words.back() += c;
    }
  }
  return words;
}

void limit_file_size(std::size_t bytes) {
  rlimit limit{};
  ::getrlimit(RLIMIT_FSIZE, &limit);
  limit.rlim_cur = bytes;
  ::setrlimit(RLIMIT_FSIZE, &limit);
}

}  // namespace qlora::testing
