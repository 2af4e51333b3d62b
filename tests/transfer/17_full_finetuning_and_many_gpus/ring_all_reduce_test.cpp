// A ring's schedule, carried out: who is in each chunk of each process is kept as a list of counts.
#include "ring_all_reduce.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <vector>

namespace qlora {
namespace {

using Counts = std::vector<int>;                    // how often each process is in it
using Holdings = std::vector<std::vector<Counts>>;  // [process][chunk]
constexpr std::int64_t kSizes[] = {2, 3, 4, 5, 7, 8, 13};

std::size_t at(std::int64_t i) {
  return static_cast<std::size_t>(i);
}

// In the beginning everybody has everything of their own.
Holdings before(std::int64_t P) {
  Holdings all(at(P), std::vector<Counts>(at(P), Counts(at(P), 0)));
  for (std::size_t p = 0; p < all.size(); ++p) {
    for (Counts& chunk : all[p]) chunk[p] = 1;
  }
  return all;
}

void carry_out(const RingStep& step, Holdings& all) {
  const Holdings as_sent = all;
  for (const Message& m : step) {
    const Counts& sent = as_sent.at(at(m.from)).at(at(m.chunk));
    Counts& own = all[at(m.from + 1) % all.size()].at(at(m.chunk));
    for (std::size_t q = 0; q < own.size(); ++q) own[q] = sent[q] + (m.add ? own[q] : 0);
  }
}

bool is_whole(const Counts& chunk) {
  return std::ranges::count(chunk, 1) == std::ssize(chunk);
}

TEST(Ring, OneProcessSendsNothing) {
  EXPECT_TRUE(ring_all_reduce(1).empty());
}

TEST(Ring, HasTwiceAsManyStepsAsNeighbors) {
  for (const std::int64_t P : kSizes) EXPECT_EQ(std::ssize(ring_all_reduce(P)), 2 * (P - 1)) << P;
}

TEST(Ring, EveryProcessSendsOneChunkInEachStep) {
  for (const std::int64_t P : kSizes) {
    for (const RingStep& step : ring_all_reduce(P)) {
      std::vector<int> sent(at(P), 0);
      for (const Message& m : step) {
        ASSERT_TRUE(m.from >= 0 && m.from < P && m.chunk >= 0 && m.chunk < P) << P;
        ++sent[at(m.from)];
      }
      EXPECT_EQ(std::ranges::count(sent, 1), P) << P;
    }
  }
}

TEST(Ring, EveryProcessEndsWithTheSumOfAll) {
  for (const std::int64_t P : kSizes) {
    Holdings all = before(P);
    for (const RingStep& step : ring_all_reduce(P)) carry_out(step, all);
    for (std::size_t p = 0; p < all.size(); ++p) {
      for (std::size_t c = 0; c < all.size(); ++c) {
        EXPECT_TRUE(is_whole(all[p][c])) << "chunk " << c << " of process " << p << " of " << P;
      }
    }
  }
}

TEST(Ring, NothingIsAddedTwice) {
  for (const std::int64_t P : kSizes) {
    Holdings all = before(P);
    for (const RingStep& step : ring_all_reduce(P)) {
      carry_out(step, all);
      int most = 0;
      for (const auto& chunks : all) {
        for (const Counts& chunk : chunks) most = std::max(most, std::ranges::max(chunk));
      }
      EXPECT_EQ(most, 1) << P;
    }
  }
}

TEST(Ring, BehindTheFirstHalfEachProcessHasOneWholeChunk) {
  for (const std::int64_t P : kSizes) {
    const std::vector<RingStep> schedule = ring_all_reduce(P);
    ASSERT_GE(std::ssize(schedule), P - 1) << P;
    Holdings all = before(P);
    for (std::int64_t s = 0; s < P - 1; ++s) carry_out(schedule[at(s)], all);
    Counts holders(at(P), 0);
    for (const auto& chunks : all) {
      EXPECT_EQ(std::ranges::count_if(chunks, is_whole), 1) << P;
      for (std::size_t c = 0; c < chunks.size(); ++c) holders[c] += is_whole(chunks[c]) ? 1 : 0;
    }
    EXPECT_EQ(std::ranges::count(holders, 1), P) << P;
  }
}

TEST(Ring, AddsInTheFirstHalfAndReplacesInTheSecond) {
  for (const std::int64_t P : kSizes) {
    const std::vector<RingStep> schedule = ring_all_reduce(P);
    EXPECT_FALSE(schedule.empty()) << P;
    for (std::int64_t s = 0; s < std::ssize(schedule); ++s) {
      for (const Message& m : schedule[at(s)]) EXPECT_EQ(m.add, s < P - 1) << P << ", step " << s;
    }
  }
}

// Floats whose sum depends on the order: one chain sums each chunk, so that all have its bits.
TEST(Ring, AllEndWithTheSameBits) {
  constexpr std::int64_t P = 5;
  const float of_process[P] = {1e8F, 3.0F, -1e8F, 0.7F, 1e-3F};
  std::vector<std::vector<float>> all;
  for (const float x : of_process) all.emplace_back(at(P), x);
  for (const RingStep& step : ring_all_reduce(P)) {
    const auto as_sent = all;
    for (const Message& m : step) {
      float& own = all[at((m.from + 1) % P)].at(at(m.chunk));
      const float sent = as_sent.at(at(m.from)).at(at(m.chunk));
      own = m.add ? own + sent : sent;
    }
  }
  for (std::size_t p = 1; p < all.size(); ++p) EXPECT_EQ(all[p], all[0]) << p;
  // Magnitudes of 1e8 are whole numbers of 8: nothing that was lost there comes back, whoever
  // began.
  for (const float x : all[0]) EXPECT_TRUE(x >= -16.0F && x <= 16.0F) << x;
}

TEST(Chunks, LieBehindEachOther) {
  for (const std::int64_t n : {1, 12, 13, 100}) {
    for (const std::int64_t P : {1, 2, 5, 8}) {
      std::int64_t end = 0;
      for (std::int64_t c = 0; c < P; ++c) {
        EXPECT_EQ(chunk_range(n, P, c).begin, end) << n << " in " << P;
        end = chunk_range(n, P, c).end;
      }
      EXPECT_EQ(end, n) << n << " in " << P;
    }
  }
}

TEST(Chunks, SizesDifferByOneAtMostLargerFirst) {
  const auto size = [](std::int64_t n, std::int64_t P, std::int64_t c) {
    return chunk_range(n, P, c).end - chunk_range(n, P, c).begin;
  };
  const std::int64_t of_13[] = {4, 3, 3, 3}, of_15[] = {4, 4, 4, 3};
  for (std::int64_t c = 0; c < 4; ++c) {
    EXPECT_EQ(size(13, 4, c), of_13[c]);
    EXPECT_EQ(size(15, 4, c), of_15[c]);
    EXPECT_EQ(size(16, 4, c), 4);
  }
}

TEST(Chunks, OfAnArrayThatIsTooShort) {
  for (std::int64_t c = 0; c < 8; ++c) {
    const ChunkRange range = chunk_range(3, 8, c);
    EXPECT_EQ(range.begin, std::min<std::int64_t>(c, 3));
    EXPECT_EQ(range.end, std::min<std::int64_t>(c + 1, 3));
  }
}

}  // namespace
}  // namespace qlora
