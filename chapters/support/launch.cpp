#include "support/launch.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <thread>

#include "core/error.h"
#include "core/parallel.h"
#include "core/stop_signal.h"
#include "course/progress.h"

namespace qlora {
namespace {

constexpr int kDefaultPort = 29500;  // torch's
constexpr const char* kListener = "QLORA_LISTENER";
constexpr std::int64_t kMostOnCpu = 64;  // each holds the whole model

std::optional<int> number_in(const char* variable) {
  const char* text = std::getenv(variable);
  if (text == nullptr) return std::nullopt;
  int number = 0;
  const char* end = text + std::strlen(text);
  const auto read = std::from_chars(text, end, number);
  if (read.ec != std::errc() || read.ptr != end || number < 0) {
    throw UsageError(std::string(variable) + " is \"" + text + "\", expected a whole number");
  }
  return number;
}

// The variables of a launcher.
struct Launcher {
  const char *rank, *size, *local_rank, *local_size;
};
constexpr Launcher kLaunchers[] = {
    {"RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"},  // torchrun
    {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK",
     "OMPI_COMM_WORLD_LOCAL_SIZE"},                                     // Open MPI
    {"PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"},     // MPICH, Intel MPI
    {"SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID", nullptr}  // srun
};

// The index among the processes of this host: the launcher's own word, or that of another which has
// the same place for this process.
int local_rank_of(const Launcher& launcher, int rank, int size) {
  if (const auto own = number_in(launcher.local_rank)) return *own;
  for (const Launcher& other : kLaunchers) {
    if (number_in(other.rank) != rank || number_in(other.size) != size) continue;
    if (const auto its = number_in(other.local_rank)) return *its;
  }
  return 0;
}

// Where process 0 is: what MASTER_ADDR says, else this host if all processes are on it.
std::string first_host(const Launcher& launcher, int size) {
  if (const char* host = std::getenv("MASTER_ADDR")) return host;
  const auto here = launcher.local_size != nullptr ? number_in(launcher.local_size) : std::nullopt;
  const bool one_host = here ? *here == size : number_in("SLURM_STEP_NUM_NODES") == 1;
  if (one_host) return "127.0.0.1";
  throw UsageError(
      "processes on several hosts need MASTER_ADDR, the name of the host of process 0, in the "
      "environment of each");
}

std::vector<std::string> own_arguments() {
  std::ifstream all("/proc/self/cmdline");
  std::vector<std::string> arguments;
  for (std::string word; std::getline(all, word, '\0');) arguments.push_back(word);
  return arguments;
}

std::vector<char*> pointers_to(std::vector<std::string>& words) {
  std::vector<char*> pointers;
  pointers.reserve(words.size() + 1);
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  return pointers;
}

// SIGINT and SIGTERM wait while one of these lives.
class BlockedStopSignals {
 public:
  BlockedStopSignals() {
    ::sigemptyset(&both_);
    ::sigaddset(&both_, SIGINT);
    ::sigaddset(&both_, SIGTERM);
    ::pthread_sigmask(SIG_BLOCK, &both_, nullptr);
  }
  ~BlockedStopSignals() { ::pthread_sigmask(SIG_UNBLOCK, &both_, nullptr); }
  BlockedStopSignals(const BlockedStopSignals&) = delete;
  BlockedStopSignals& operator=(const BlockedStopSignals&) = delete;

  /// From here on they end the process, those that have waited at once.
  void end_by_them() const {
    for (const int signal : {SIGINT, SIGTERM}) ::signal(signal, SIG_DFL);
    ::pthread_sigmask(SIG_UNBLOCK, &both_, nullptr);
  }

 private:
  sigset_t both_{};
};

struct Child {
  pid_t process = 0;
  int said = -1;  // what it printed; -1: that is seen already
  bool running = true;
  int code = 0;  // once it has ended
};

// The environment of a process of the run: its place, before all that this one has.
std::vector<std::string> environment_of(int rank, int count, const Listener& listener) {
  const std::string number = std::to_string(rank), all = std::to_string(count);
  std::vector<std::string> lines{
      "RANK=" + number,        "LOCAL_RANK=" + number,
      "WORLD_SIZE=" + all,     "LOCAL_WORLD_SIZE=" + all,
      "MASTER_ADDR=127.0.0.1", "MASTER_PORT=" + std::to_string(listener.port())};
  if (rank == 0) lines.push_back(std::string(kListener) + "=" + std::to_string(listener.socket()));
  if (std::getenv("QLORA_THREADS") == nullptr) {
    lines.push_back("QLORA_THREADS=" + std::to_string(std::max(1, thread_count() / count)));
  }
  for (char** line = environ; *line != nullptr; ++line) lines.emplace_back(*line);
  return lines;
}

Child start(int rank, int count, const Listener& listener) {
  std::vector<std::string> arguments = own_arguments();
  std::vector<std::string> environment = environment_of(rank, count, listener);
  const std::vector<char*> argv = pointers_to(arguments), envp = pointers_to(environment);
  Child child;
  if (rank > 0) child.said = ::memfd_create("said", MFD_CLOEXEC);
  const pid_t parent = ::getpid();
  const BlockedStopSignals blocked;  // until the child no longer notes them as this one does
  child.process = ::fork();
  if (child.process < 0) {
    throw MachineLacks(std::string("a process could not be started: ") + std::strerror(errno));
  }
  if (child.process > 0) return child;
  blocked.end_by_them();
  ::setpgid(0, 0);  // a terminal's Ctrl-C comes once, through the parent
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) std::_Exit(1);
  if (child.said >= 0) {
    ::dup2(child.said, STDOUT_FILENO);
    ::dup2(child.said, STDERR_FILENO);
    ::close(listener.socket());
  }
  ::execve("/proc/self/exe", argv.data(), envp.data());
  std::_Exit(127);
}

void tell(const std::vector<Child>& children, int signal) {
  for (const Child& child : children) {
    if (child.running) ::kill(child.process, signal);
  }
}

// What a process other than the first had to say, behind its number.
void repeat(const std::vector<Child>& children, const Child& child) {
  ::lseek(child.said, 0, SEEK_SET);
  std::string text;
  char buffer[4096];
  for (ssize_t got = 0; (got = ::read(child.said, buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<std::size_t>(got));
  }
  std::fprintf(stderr, "process %td: %s", &child - children.data(), text.c_str());
}

// The child that has ended, or nullptr.
Child* ended_of(std::vector<Child>& children) {
  int status = 0;
  const pid_t ended = ::waitpid(-1, &status, WNOHANG);
  for (Child& child : children) {
    if (ended <= 0 || child.process != ended) continue;
    child.running = false;
    child.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return &child;
  }
  return nullptr;
}

// Waits for all. Behind a failure the others have some seconds to end by themselves.
int wait_for(std::vector<Child>& children) {
  using Clock = std::chrono::steady_clock;
  constexpr std::chrono::seconds kOwnWords{1}, kGrace{5};
  const Child* failed = nullptr;  // the first
  Clock::time_point since;
  int told = 0;
  for (std::size_t left = children.size(); left > 0;) {
    if (stop_signal() != told) tell(children, told = stop_signal());
    if (failed != nullptr && stop_signal() == 0 && Clock::now() > since + kOwnWords) {
      tell(children, Clock::now() > since + kGrace ? SIGKILL : SIGTERM);
    }
    const Child* ended = ended_of(children);
    if (ended == nullptr) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      continue;
    }
    --left;
    if (ended->code == 0 || failed != nullptr) continue;
    failed = ended;
    since = Clock::now();
  }
  if (failed == nullptr) return 0;
  // The first has said so itself; only 4 may also mean that it has lost the one that failed.
  const bool said =
      children[0].code == failed->code && failed->code != static_cast<int>(ExitCode::machine_lacks);
  if (failed->said >= 0 && failed->code != 128 + stop_signal() && !said) repeat(children, *failed);
  return failed->code;
}

}  // namespace

std::optional<ProcessPlace> place_in_environment() {
  for (const Launcher& launcher : kLaunchers) {
    const auto rank = number_in(launcher.rank), size = number_in(launcher.size);
    if (!rank || !size || *size == 1) continue;
    if (*rank >= *size) {
      throw UsageError(std::string(launcher.rank) + " is " + std::to_string(*rank) + ", " +
                       launcher.size + " is " + std::to_string(*size) + ": it must be below");
    }
    ProcessPlace place;
    place.rank = *rank;
    place.size = *size;
    place.local_rank = local_rank_of(launcher, *rank, *size);
    place.host = first_host(launcher, *size);
    place.port = number_in("MASTER_PORT").value_or(kDefaultPort);
    if (place.rank == 0) place.listener = number_in(kListener).value_or(-1);
    return place;
  }
  return std::nullopt;
}

void check_processes(std::int64_t count, int gpus) {
  const std::string asked = "--num-processes " + std::to_string(count);
  if (gpus > 0 && count > gpus) {
    throw MachineLacks(asked + ": each needs a GPU of its own, and " + std::to_string(gpus) +
                       (gpus == 1 ? " is" : " are") + " here");
  }
  if (gpus == 0 && count > kMostOnCpu) {
    throw UsageError(asked + ": on the CPU at most " + std::to_string(kMostOnCpu) +
                     " can share a step");
  }
}

int launch_processes(std::int64_t count, int gpus) {
  check_processes(count, gpus);
  const int all = static_cast<int>(count);
  note_stop_signals();
  const Listener listener(0, Listener::Reach::this_host);
  std::vector<Child> children;
  while (std::ssize(children) < all && stop_signal() == 0) {
    children.push_back(start(static_cast<int>(children.size()), all, listener));
  }
  const bool complete = std::ssize(children) == all;
  const int code = wait_for(children);
  return complete ? code : 128 + stop_signal();
}

std::unique_ptr<Processes> meet_processes(const std::optional<ProcessPlace>& place,
                                          std::int64_t wanted) {
  if (!place) return std::make_unique<Processes>();
  if (wanted > 0 && wanted != place->size) {
    throw UsageError("--num-processes " + std::to_string(wanted) + " contradicts the launcher's " +
                     std::to_string(place->size) + " processes");
  }
  if (place->rank > 0) {
    Progress::mute();
    if (std::freopen("/dev/null", "w", stdout) == nullptr) throw MachineLacks("/dev/null");
  }
  return std::make_unique<Processes>(*place);
}

}  // namespace qlora
