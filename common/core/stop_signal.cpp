#include "core/stop_signal.h"

#include <pthread.h>

#include <csignal>
#include <cstddef>
#include <initializer_list>

namespace qlora {
namespace {

volatile std::sig_atomic_t noted = 0;

void note(int signal) {
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
  action.sa_flags = static_cast<int>(SA_ONSTACK | SA_RESETHAND);
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
