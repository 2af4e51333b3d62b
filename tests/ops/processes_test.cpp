// Processes of a data-parallel run, played by threads.
#include "ops/processes.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <thread>

#include "core/error.h"

namespace qlora {
namespace {

using std::chrono::seconds;

// A place each, around a listener of this test's own.
std::vector<ProcessPlace> places(int size) {
  std::vector<ProcessPlace> all(static_cast<std::size_t>(size));
  Listener listener(0, Listener::Reach::this_host);
  for (int rank = 0; rank < size; ++rank) {
    ProcessPlace& place = all[static_cast<std::size_t>(rank)];
    place.rank = rank;
    place.size = size;
    place.host = "127.0.0.1";
    place.port = listener.port();
  }
  all[0].listener = ::dup(listener.socket());
  return all;
}

template <typename F>
void in_each(int size, F&& f) {
  std::vector<std::thread> threads;
  for (const ProcessPlace& place : places(size)) {
    threads.emplace_back([place, &f] {
      Processes processes(place, seconds(20));
      f(processes);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(Processes, AloneASumIsItself) {
  Processes alone;
  EXPECT_TRUE(alone.is_first());
  const std::vector<float> values{1, 2, 7};
  const Tensor t = Tensor::from<float>(values, {3});
  alone.sum(std::span(&t, 1));
  EXPECT_EQ(t.data<float>()[2], 7.0f);
  EXPECT_EQ(alone.largest(-5), -5);
}

// Integers, whose sums are exact; each process has others, and the last tensor no elements.
TEST(Processes, EveryProcessHasTheSameSum) {
  for (const int size : {2, 3, 5}) {
    std::vector<std::vector<Tensor>> of(static_cast<std::size_t>(size));
    in_each(size, [&](Processes& processes) {
      const int rank = processes.rank();
      const Tensor a = Tensor::empty(DType::f32, {1001}), b = Tensor::empty(DType::f64, {3, 5});
      for (std::int64_t i = 0; i < a.numel(); ++i)
        a.data<float>()[i] = static_cast<float>(i * (rank + 1));
      for (std::int64_t i = 0; i < b.numel(); ++i)
        b.data<double>()[i] = static_cast<double>(i - rank);
      const std::vector<Tensor> tensors{a, b, Tensor::empty(DType::f32, {0})};
      processes.sum(tensors);
      processes.sum(std::span<const Tensor>());
      of[static_cast<std::size_t>(rank)] = tensors;
    });
    const int ranks = size * (size + 1) / 2;  // Σ (rank + 1)
    for (const auto& tensors : of) {
      for (std::int64_t i = 0; i < 1001; ++i) {
        EXPECT_EQ(tensors[0].data<float>()[i], static_cast<float>(i * ranks));
      }
      for (std::int64_t i = 0; i < 15; ++i) {
        EXPECT_EQ(tensors[1].data<double>()[i], static_cast<double>(size * i - (ranks - size)));
      }
    }
  }
}

TEST(Processes, TheLargestValueIsEverybodys) {
  in_each(4, [](Processes& processes) {
    EXPECT_EQ(processes.largest(processes.rank() == 2 ? 15 : 0), 15);
    EXPECT_EQ(processes.largest(-1 - processes.rank()), -1);
  });
}

TEST(Processes, NamesThoseThatDidNotCome) {
  std::vector<ProcessPlace> all = places(3);
  std::thread second([&] { EXPECT_NO_THROW(Processes(all[2], seconds(20))); });
  try {
    Processes first(all[0], seconds(1));
    ADD_FAILURE() << "it met all";
  } catch (const MachineLacks& e) {
    EXPECT_NE(std::string(e.what()).find("1 of 3 processes did not come to port"),
              std::string::npos);
    EXPECT_EQ(std::string(e.what()).substr(std::string(e.what()).size() - 3), ": 1") << e.what();
  }
  second.join();
}

TEST(Processes, StrangersAndOtherRunsAreTurnedAway) {
  std::vector<ProcessPlace> all = places(2);
  std::thread first([&] {
    Processes processes(all[0], seconds(20));
    EXPECT_EQ(processes.largest(1), 3);
  });
  const Deadline soon = std::chrono::steady_clock::now() + seconds(10);
  {
    const Connection stranger = connect_to("127.0.0.1", all[0].port, soon);
    const std::string word = "GET / HTTP/1.1\r\n\r\n";
    stranger.send(std::as_bytes(std::span(word)));
    std::byte answer{};
    EXPECT_THROW(stranger.receive(std::span(&answer, 1)), MachineLacks);
  }
  {
    const Connection silent = connect_to("127.0.0.1", all[0].port, soon);
  }
  ProcessPlace other = all[1];
  other.size = 4;
  EXPECT_THROW(Processes(other, seconds(5)), MachineLacks);
  Processes second(all[1], seconds(20));
  EXPECT_EQ(second.largest(3), 3);
  first.join();
}

TEST(Processes, SayWhenAnotherIsGone) {
  std::vector<ProcessPlace> all = places(2);
  std::thread second([&] { EXPECT_NO_THROW(Processes(all[1], seconds(20))); });
  Processes first(all[0], seconds(20));
  second.join();
  EXPECT_THROW(first.largest(0), MachineLacks);
}

}  // namespace
}  // namespace qlora
