// A signal that comes while matrices are multiplied.
#include "core/stop_signal.h"

#include <gtest/gtest.h>
#include <pthread.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <thread>
#include <vector>

#include "core/matmul.h"

namespace qlora {
namespace {

TEST(StopSignal, IsNotedOnce) {
  note_stop_signals();
  EXPECT_EQ(stop_signal(), 0);
  std::raise(SIGINT);
  EXPECT_EQ(stop_signal(), SIGINT);
  note_stop_signals();
  EXPECT_EQ(stop_signal(), 0);
  std::raise(SIGTERM);
  EXPECT_EQ(stop_signal(), SIGTERM);
}

TEST(StopSignalDeathTest, ALaterOneEndsTheProgram) {
  EXPECT_EXIT(
      {
        note_stop_signals();
        std::raise(SIGTERM);
        std::raise(SIGTERM);  // the same one
        std::this_thread::sleep_for(std::chrono::milliseconds(2100));
        std::raise(SIGTERM);
        std::exit(0);
      },
      ::testing::KilledBySignal(SIGTERM), "");
}

// Narrow products, as those of adapters, whose memory is new each time: what a signal writes in the
// wrong place is found when it is given back, and the program ends.
TEST(StopSignal, HarmsNoProduct) {
  constexpr std::int64_t M = 96, N = 4, K = 192;
  std::atomic<bool> done{false}, armed{true};
  note_stop_signals();
  std::thread sender([&, receiver = pthread_self()] {
    while (!done) {
      if (armed.exchange(false)) ::pthread_kill(receiver, SIGINT);
      std::this_thread::yield();
    }
  });
  int signals = 0;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (signals < 500 && std::chrono::steady_clock::now() < end) {
    const std::vector<float> A(M * K, 1.0f), B(N * K, 1.0f);
    std::vector<float> C(M * N);
    matmul<float>(Transpose::no, Transpose::yes, M, N, K, 1.0f, A.data(), K, B.data(), K, 0.0f,
                  C.data(), N);
    ASSERT_EQ(C, std::vector<float>(M * N, static_cast<float>(K)));
    if (stop_signal() != 0) {
      ++signals;
      note_stop_signals();
      armed = true;
    }
  }
  done = true;
  sender.join();
  EXPECT_GT(signals, 20);
}

}  // namespace
}  // namespace qlora
