#include "process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <fstream>

#include "core/error.h"

namespace qlora::grader {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostOutput = 64 * 1024;
constexpr int kTick = 20;  // milliseconds between two looks at memory and disk

void limit(int resource, rlim_t value) {
  const rlimit both{value, value};
  ::setrlimit(static_cast<__rlimit_resource_t>(resource), &both);
}

void limit_all(const Command& command) {
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_CPU, static_cast<rlim_t>(command.seconds * 4) + 2);  // of all its threads together
  limit(RLIMIT_FSIZE, command.disk);
  limit(RLIMIT_NOFILE, 256);
  limit(RLIMIT_STACK, 64u << 20);
  // Address space that is reserved and not used costs nothing: threads and libraries do that.
#if !QLORA_SANITIZED  // AddressSanitizer reserves terabytes
  limit(RLIMIT_AS, command.memory + (1u << 30));
#endif
}

// As execve wants them: the last one is null.
std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> out(texts.size() + 1, nullptr);
  for (std::size_t i = 0; i < texts.size(); ++i) out[i] = const_cast<char*>(texts[i].c_str());
  return out;
}

[[noreturn]] void become(const Command& command, int output, int report) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (const int nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC); nothing >= 0) {
    ::dup2(nothing, 0);
  }
  ::dup2(output, 1);
  ::dup2(output, 2);
  std::vector<std::string> environment = command.environment;
  if (!command.row.empty()) {
    ::fcntl(report, F_SETFD, 0);
    environment.push_back("QLORA_ROW=" + std::to_string(report) + ":" + command.row);
  }
  const std::vector<char*> arguments = pointers(command.arguments);
  const std::vector<char*> variables = pointers(environment);
  limit_all(command);
  if (::chdir(command.folder.c_str()) == 0 && confine(command.sandbox)) {
    ::execve(arguments[0], arguments.data(), variables.data());
  }
  static constexpr std::string_view kLine = "the program could not be started in its sandbox\n";
  (void)!::write(2, kLine.data(), kLine.size());
  ::_exit(126);
}

// Reads what is there; false at the end.
bool drain(int file, std::string& text) {
  std::array<char, 4096> buffer;
  while (true) {
    const ssize_t n = ::read(file, buffer.data(), buffer.size());
    if (n == 0) return false;
    if (n < 0) return errno == EAGAIN || errno == EINTR;
    const std::size_t room = kMostOutput - std::min(kMostOutput, text.size());
    text.append(buffer.data(), std::min(room, static_cast<std::size_t>(n)));
  }
}

std::size_t resident_bytes(pid_t process) {
  std::ifstream in("/proc/" + std::to_string(process) + "/statm");
  std::size_t all = 0;
  std::size_t resident = 0;
  in >> all >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

std::size_t bytes_below(const fs::path& folder) {
  std::size_t sum = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator i(folder, error), end; !error && i != end;
       i.increment(error)) {
    std::error_code ignored;
    if (i->is_regular_file(ignored) && !i->is_symlink(ignored)) sum += i->file_size(ignored);
    sum += 4096;  // a name has a price too
  }
  return sum;
}

// Children of this process, found by their entry in /proc.
std::vector<pid_t> children() {
  std::vector<pid_t> found;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    std::ifstream in(entry.path() / "stat");
    std::string text;
    std::getline(in, text);
    const std::size_t after_name = text.rfind(')');  // the name may hold anything
    if (after_name == std::string::npos) continue;
    char state = 0;
    long parent = 0;
    if (std::sscanf(text.c_str() + after_name + 1, " %c %ld", &state, &parent) == 2 &&
        parent == ::getpid()) {
      found.push_back(std::stoi(name));
    }
  }
  return found;
}

// A killed process hands its own children on to this one; so until none is left.
void kill_all_children() {
  for (std::vector<pid_t> found = children(); !found.empty(); found = children()) {
    for (const pid_t child : found) ::kill(child, SIGKILL);
    for (const pid_t child : found) ::waitpid(child, nullptr, 0);
  }
}

struct Pipe {
  int ends[2] = {-1, -1};
  Pipe() {
    if (::pipe2(ends, O_CLOEXEC) != 0) throw MachineLacks("a pipe: none is to be had");
    ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
  }
  ~Pipe() {
    ::close(ends[0]);
    close_writer();
  }
  void close_writer() {
    if (ends[1] >= 0) ::close(ends[1]);
    ends[1] = -1;
  }
};

// Waits for the child; kills it where it goes beyond a limit.
int watch(pid_t child, const Command& command, Pipe& output, Pipe& report, Ended& ended) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  const auto seconds = [&] { return std::chrono::duration<double>(Clock::now() - start).count(); };
  int status = 0;
  double next_look = 0.0;
  std::array<pollfd, 2> files{{{output.ends[0], POLLIN, 0}, {report.ends[0], POLLIN, 0}}};
  while (::waitpid(child, &status, WNOHANG) == 0) {
    ::poll(files.data(), files.size(), files[0].fd < 0 && files[1].fd < 0 ? 1 : kTick);
    if (files[0].fd >= 0 && !drain(output.ends[0], ended.output)) files[0].fd = -1;
    if (files[1].fd >= 0 && !drain(report.ends[0], ended.report)) files[1].fd = -1;
    ended.seconds = seconds();
    if (ended.seconds > command.seconds) ended.killed = "time";
    if (resident_bytes(child) > command.memory) ended.killed = "memory";
    if (ended.seconds > next_look) {
      next_look = ended.seconds + 0.2;
      if (bytes_below(command.folder) > command.disk) ended.killed = "disk";
    }
    if (!ended.killed.empty()) {
      ::kill(-child, SIGKILL);
      ::kill(child, SIGKILL);
      ::waitpid(child, &status, 0);
      break;
    }
  }
  ended.seconds = seconds();
  return status;
}

}  // namespace

Ended run_limited(const Command& command) {
  (void)missing_protection();  // is found out here, once, and not in the child
  Ended ended;
  Pipe output;
  Pipe report;
  const pid_t child = ::fork();
  if (child < 0) throw MachineLacks("a process: none is to be had");
  if (child == 0) become(command, output.ends[1], report.ends[1]);
  ::setpgid(child, child);
  output.close_writer();
  report.close_writer();
  const int status = watch(child, command, output, report, ended);
  ::kill(-child, SIGKILL);
  kill_all_children();
  drain(output.ends[0], ended.output);
  drain(report.ends[0], ended.report);
  if (WIFEXITED(status)) ended.code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) ended.signal = WTERMSIG(status);
  if (ended.signal == SIGXCPU) ended.killed = "time";
  return ended;
}

void adopt_orphans() {
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
}

ScratchFolder::ScratchFolder() {
  std::string name = (fs::temp_directory_path() / "qlora-row-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw BadInput(name, "", "cannot be made");
  path_ = name;
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

}  // namespace qlora::grader
