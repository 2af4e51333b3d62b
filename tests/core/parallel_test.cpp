#include "core/parallel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

namespace qlora {
namespace {

using Ranges = std::vector<std::pair<std::int64_t, std::int64_t>>;

Ranges ranges(std::int64_t n, std::int64_t grain) {
  Ranges out;
  std::mutex mutex;
  parallel_for(n, grain, [&](std::int64_t begin, std::int64_t end) {
    const std::lock_guard lock(mutex);
    out.emplace_back(begin, end);
  });
  std::sort(out.begin(), out.end());
  return out;
}

TEST(ParallelChunks, CallsEachOnce) {
  for (std::int64_t n : {0, 1, 2, 3, 1000}) {
    std::vector<std::atomic<int>> calls(static_cast<std::size_t>(n));
    parallel_chunks(n, [&](std::int64_t i) { ++calls[static_cast<std::size_t>(i)]; });
    for (const auto& c : calls) EXPECT_EQ(c, 1);
  }
}

TEST(ParallelFor, RangesAreDisjointAndCoverEverything) {
  for (std::int64_t n : {1, 2, 3, 31, 48, 49, 95, 96, 97, 1000, 1001}) {
    for (std::int64_t grain : {1, 2, 7, 48, 64, 5000}) {
      const Ranges r = ranges(n, grain);
      ASSERT_FALSE(r.empty());
      EXPECT_LE(r.size(), static_cast<std::size_t>(thread_count()));
      EXPECT_EQ(r.front().first, 0);
      EXPECT_EQ(r.back().second, n);
      for (std::size_t i = 0; i < r.size(); ++i) {
        EXPECT_LT(r[i].first, r[i].second);
        EXPECT_EQ(r[i].first, i == 0 ? 0 : r[i - 1].second);
        EXPECT_TRUE(r[i].first % grain == 0);  // so every range but the last is whole grains
      }
    }
  }
}

TEST(ParallelFor, EqualCallsGiveEqualRanges) {
  const Ranges first = ranges(1001, 7);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(ranges(1001, 7), first);
}

TEST(ParallelFor, NothingToDoCallsNothing) {
  for (std::int64_t n : {0, -3}) EXPECT_TRUE(ranges(n, 8).empty());
}

TEST(ParallelFor, AnExceptionReachesTheCaller) {
  const auto thrower = [](std::int64_t, std::int64_t end) {
    if (end == 1000) throw std::runtime_error("in a thread");
  };
  EXPECT_THROW(parallel_for(1000, 1, thrower), std::runtime_error);
  EXPECT_EQ(ranges(10, 1).back().second, 10);  // and the next call works
}

TEST(ParallelFor, NestedCallsRunOnTheCallingThread) {
  std::atomic<int> elsewhere{0};
  std::atomic<std::int64_t> done{0};
  parallel_for(4, 1, [&](std::int64_t begin, std::int64_t end) {
    const auto caller = std::this_thread::get_id();
    for (std::int64_t i = begin; i < end; ++i) {
      parallel_for(100, 1, [&](std::int64_t inner_begin, std::int64_t inner_end) {
        elsewhere += std::this_thread::get_id() != caller;
        done += inner_end - inner_begin;
      });
    }
  });
  EXPECT_EQ(elsewhere, 0);
  EXPECT_EQ(done, 400);
}

}  // namespace
}  // namespace qlora
