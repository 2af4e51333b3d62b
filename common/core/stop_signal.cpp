#include "core/stop_signal.h"

#include <pthread.h>

#include <csignal>
#include <cstddef>
#include <ctime>
#include <initializer_list>

namespace qlora {
namespace {

volatile std::sig_atomic_t noted = 0;

std::time_t first;  // seconds, when it was noted

// Senders tell a process and its whole group, so that the same signal comes twice.
constexpr std::time_t kSame = 1;

std::time_t now() {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec;
}

void note(int signal) {
  if (noted == 0) {
    first = now();
  } else if (now() > first + kSame) {
    ::signal(signal, SIG_DFL);
    ::raise(signal);
  }
  noted = signal;
}

// Room for a frame with all vector and tile registers, 11 KiB, and the handler.
constexpr std::size_t kStack = 65536;
alignas(64) std::byte stack[kStack];

}  // namespace

void note_stop_signals() {
  noted = 0;
  stack_t own{};
  own.ss_sp = stack;
  own.ss_size = kStack;
  ::sigaltstack(&own, nullptr);
  struct sigaction action{};
  action.sa_handler = note;
  action.sa_flags = SA_ONSTACK;
  for (const int signal : {SIGINT, SIGTERM}) ::sigaction(signal, &action, nullptr);
}

int stop_signal() {
  return noted;
}

void block_stop_signals() {
  sigset_t both;
  ::sigemptyset(&both);
  ::sigaddset(&both, SIGINT);
  ::sigaddset(&both, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &both, nullptr);
}

}  // namespace qlora
