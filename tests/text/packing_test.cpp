#include "text/packing.h"

#include <gtest/gtest.h>

#include <chrono>
#include <numeric>

#include "core/random.h"
#include "text/batch.h"

namespace qlora {
namespace {

using Ids = std::vector<std::int32_t>;
using Bins = std::vector<std::vector<std::int64_t>>;

Ids values(const Tensor& t) {
  const auto span = t.span<std::int32_t>();
  return {span.begin(), span.end()};
}

std::vector<std::int64_t> random_lengths(std::size_t n, std::uint32_t longest, std::uint64_t seed) {
  std::vector<std::int64_t> lengths(n);
  for (std::size_t i = 0; i < n; ++i) lengths[i] = 1 + Random{seed, 1}.below(i, longest);
  return lengths;
}

// The same by trying every bin for every item.
Bins by_trying_all(std::span<const std::int64_t> lengths, std::int64_t capacity) {
  struct Bin {
    std::int64_t room, since;
    std::vector<std::int64_t> items;
  };
  std::vector<Bin> bins;
  std::int64_t now = 0;
  for (std::int64_t length = capacity; length > 0; --length) {
    for (std::size_t i = 0; i < lengths.size(); ++i) {
      if (lengths[i] != length) continue;
      Bin* best = nullptr;
      for (Bin& bin : bins) {
        if (bin.room < length) continue;
        const bool better = best == nullptr || bin.room < best->room ||
                            (bin.room == best->room && bin.since < best->since);
        if (better) best = &bin;
      }
      if (best == nullptr) best = &bins.emplace_back(Bin{capacity, 0, {}});
      best->room -= length;
      best->since = ++now;
      best->items.push_back(static_cast<std::int64_t>(i));
    }
  }
  Bins out;
  for (const Bin& bin : bins) out.push_back(bin.items);
  return out;
}

// TRL, pack_dataset's documentation: [[1, 2, 3], [4, 5], [6, 7, 8], [9]] in rows of 4 are
// [[1, 2, 3, 9], [6, 7, 8], [4, 5]].
TEST(BestFitDecreasing, GivesTheRowsOfTrlsExample) {
  const std::vector<std::int64_t> lengths = {3, 2, 3, 1};
  EXPECT_EQ(best_fit_decreasing(lengths, 4), (Bins{{0, 3}, {2}, {1}}));
}

TEST(BestFitDecreasing, TiesGoToTheEarlierItemAndTheBinThatHasWaited) {
  const std::vector<std::int64_t> equal = {6, 4, 6, 4};
  EXPECT_EQ(best_fit_decreasing(equal, 10), (Bins{{0, 1}, {2, 3}}));
  // Bin 1 comes to a room of 2 by the item of 6, before bin 0 by the item of 3: the 2 goes there.
  const std::vector<std::int64_t> waiting = {15, 12, 6, 3, 2};
  EXPECT_EQ(best_fit_decreasing(waiting, 20), (Bins{{0, 3}, {1, 2, 4}}));
}

TEST(BestFitDecreasing, IsWhatTryingEveryBinGives) {
  for (const std::uint32_t longest : {1u, 7u, 40u, 64u}) {
    const auto lengths = random_lengths(500, longest, longest);
    EXPECT_EQ(best_fit_decreasing(lengths, 64), by_trying_all(lengths, 64)) << longest;
  }
}

TEST(BestFitDecreasing, PutsEveryItemInOneBinThatHoldsIt) {
  const auto lengths = random_lengths(3000, 300, 5);
  std::vector<int> seen(lengths.size(), 0);
  std::int64_t total = 0;
  const Bins bins = best_fit_decreasing(lengths, 512);
  for (const auto& bin : bins) {
    std::int64_t used = 0;
    for (const std::int64_t item : bin) {
      used += lengths[static_cast<std::size_t>(item)];
      ++seen[static_cast<std::size_t>(item)];
    }
    EXPECT_LE(used, 512);
    total += used;
  }
  EXPECT_EQ(seen, std::vector<int>(lengths.size(), 1));
  // Items this small leave next to nothing: no more bins than the tokens need, but for one.
  EXPECT_LE(static_cast<std::int64_t>(bins.size()), (total + 511) / 512 + 1);
  EXPECT_EQ(bins, best_fit_decreasing(lengths, 512));
}

// 200,000 items in some 100,000 bins: trying every bin is 10^10 comparisons.
TEST(BestFitDecreasing, TakesNoTimeForALargeDataSet) {
  const auto lengths = random_lengths(200000, 1000, 7);
  const auto start = std::chrono::steady_clock::now();
  EXPECT_GT(best_fit_decreasing(lengths, 1000).size(), 90000u);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  EXPECT_LT(took.count(), 4.0);
}

TEST(BestFitDecreasing, RefusesWhatFitsNowhere) {
  EXPECT_TRUE(best_fit_decreasing({}, 4).empty());
  for (const std::int64_t length : {0, -1, 5}) {
    EXPECT_THROW(best_fit_decreasing(std::vector<std::int64_t>{2, length}, 4),
                 std::invalid_argument)
        << length;
  }
}

const std::vector<TokenizedExample> kExamples = {
    {{1, 11, 2}, {1, 11, 2}}, {{1, 2}, {-100, 2}}, {{1, 12, 2}, {-100, -100, 2}}, {{9}, {9}}};

TEST(Pack, PutsExamplesWholeBehindEachOther) {
  const auto rows = pack(kExamples, 4);
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0].input_ids, (Ids{1, 11, 2, 9}));
  EXPECT_EQ(rows[0].position_ids, (Ids{0, 1, 2, 0}));
  // No token has a label at the first position of an example: the token before is not its prompt.
  EXPECT_EQ(rows[0].labels, (Ids{-100, 11, 2, -100}));
  EXPECT_EQ(rows[1].input_ids, (Ids{1, 12, 2}));
  EXPECT_EQ(rows[2].labels, (Ids{-100, 2}));
}

TEST(Pack, KeepsTheCountsOfTheUnpackedRows) {
  const auto rows = pack(kExamples, 9);
  ASSERT_EQ(rows.size(), 1u);
  const Batch packed = collate(rows, std::vector<std::int64_t>{0}, 0);
  const Batch unpacked = collate(kExamples, std::vector<std::int64_t>{0, 1, 2, 3}, 0);
  EXPECT_EQ(packed.tokens, unpacked.tokens);
  EXPECT_EQ(packed.supervised, unpacked.supervised);
  EXPECT_EQ(unpacked.supervised, 4);
}

TEST(Pack, RefusesWhatItWouldHaveToCutAndWhatIsPacked) {
  EXPECT_THROW(pack(kExamples, 2), std::invalid_argument);
  EXPECT_THROW(pack(pack(kExamples, 4), 8), std::invalid_argument);
}

TEST(Collate, PackedRowsHavePositionsAndSegments) {
  auto rows = pack(kExamples, 4);
  rows.push_back({{1, 13, 14, 2}, {1, 13, 14, 2}});  // a row of one example among them
  const Batch batch = collate(rows, std::vector<std::int64_t>{2, 0, 3}, 99);
  EXPECT_EQ(values(batch.input_ids), (Ids{1, 2, 99, 99, 1, 11, 2, 9, 1, 13, 14, 2}));
  EXPECT_EQ(values(batch.position_ids), (Ids{0, 1, 0, 0, 0, 1, 2, 0, 0, 1, 2, 3}));
  EXPECT_EQ(values(positions_of(batch)), values(batch.position_ids));
  EXPECT_EQ(values(segments_of(batch)), (Ids{1, 1, 0, 0, 1, 1, 1, 2, 1, 1, 1, 1}));
  EXPECT_EQ(positions_in(batch), 4);
  EXPECT_EQ(positions_in(collate(rows, std::vector<std::int64_t>{0}, 0)), 3);  // 4 tokens
  EXPECT_EQ(positions_in(collate(kExamples, std::vector<std::int64_t>{0, 1}, 0)), 3);
}

TEST(Collate, UnpackedRowsHaveTheMaskForSegments) {
  const Batch padded = collate(kExamples, std::vector<std::int64_t>{0, 1}, 0);
  EXPECT_FALSE(padded.position_ids);
  EXPECT_EQ(values(positions_of(padded)), (Ids{0, 1, 2, 0, 1, 2}));
  EXPECT_EQ(values(segments_of(padded)), (Ids{1, 1, 1, 1, 1, 0}));
  EXPECT_FALSE(segments_of(collate(kExamples, std::vector<std::int64_t>{0, 2}, 0)));
}

TEST(SegmentsOf, APaddedFrontBeginsNoExample) {
  const Batch batch = parse_ids(R"({"input_ids": [[0, 0, 3, 4, 5]],
      "attention_mask": [[0, 0, 1, 1, 1]], "position_ids": [[0, 1, 2, 0, 1]]})",
                                9, "f");
  EXPECT_EQ(values(segments_of(batch)), (Ids{0, 0, 1, 2, 2}));
}

}  // namespace
}  // namespace qlora
