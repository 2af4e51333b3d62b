// Who computes what of a step, and the scale that makes a sum of gradients the mean over tokens.
#include "training/step_share.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "support/matcher.h"

namespace qlora {
namespace {

using testing::is_close;
using Places = std::vector<std::int64_t>;

// A row of `length` tokens whose first `ignored` have no label.
TokenizedExample row_of(std::int32_t length, std::int32_t ignored) {
  TokenizedExample row;
  for (std::int32_t t = 0; t < length; ++t) {
    row.input_ids.push_back(t + 7);
    row.labels.push_back(t < ignored ? kIgnoredLabel : t + 7);
  }
  return row;
}

// Rows whose lengths and labels all differ.
std::vector<TokenizedExample> rows() {
  return {row_of(5, 0), row_of(9, 7), row_of(3, 1), row_of(12, 2), row_of(8, 8), row_of(2, 1)};
}
const std::vector<Places> kMicroBatches{{3, 0}, {4}, {1, 5}, {2}};

TEST(TurnsOf, OneProcessTakesAll) {
  EXPECT_EQ(turns_of(4, 0, 1), (Places{0, 1, 2, 3}));
}

TEST(TurnsOf, EveryPthFromTheRankOn) {
  EXPECT_EQ(turns_of(7, 0, 3), (Places{0, 3, 6}));
  EXPECT_EQ(turns_of(7, 1, 3), (Places{1, 4}));
  EXPECT_EQ(turns_of(7, 2, 3), (Places{2, 5}));
}

TEST(TurnsOf, EveryPlaceIsTakenOnceAndNumbersDifferByOneAtMost) {
  for (const std::int64_t count : {0, 1, 5, 8, 13}) {
    for (const std::int64_t P : {1, 2, 3, 8, 20}) {
      std::vector<int> taken(static_cast<std::size_t>(count));
      std::int64_t least = count, most = 0;
      for (std::int64_t rank = 0; rank < P; ++rank) {
        const Places own = turns_of(count, rank, P);
        for (const std::int64_t i : own) ++taken.at(static_cast<std::size_t>(i));
        least = std::min(least, static_cast<std::int64_t>(own.size()));
        most = std::max(most, static_cast<std::int64_t>(own.size()));
      }
      EXPECT_EQ(std::ranges::count(taken, 1), count) << count << " over " << P;
      EXPECT_LE(most - least, 1) << count << " over " << P;
    }
  }
}

TEST(TurnsOf, MoreProcessesThanPlacesLeaveTheLastOnesWithNone) {
  EXPECT_EQ(turns_of(2, 1, 4), (Places{1}));
  EXPECT_EQ(turns_of(2, 2, 4), Places{});
  EXPECT_EQ(turns_of(2, 3, 4), Places{});
}

TEST(SupervisedLabels, TheFirstPositionHasNoneBehindTheShift) {
  EXPECT_EQ(supervised_labels(row_of(5, 0)), 4);
  EXPECT_EQ(supervised_labels(row_of(1, 0)), 0);
}

TEST(SupervisedLabels, IgnoredOnesAreNotCounted) {
  EXPECT_EQ(supervised_labels(row_of(9, 7)), 2);
  EXPECT_EQ(supervised_labels(row_of(8, 8)), 0);
  EXPECT_EQ(supervised_labels(row_of(2, 1)), 1);
}

// A packed row: the first token of its second example has no label, wherever it stands.
TEST(SupervisedLabels, APackedRowCountsEachOfItsExamples) {
  TokenizedExample packed = row_of(9, 0);
  packed.position_ids = {0, 1, 2, 3, 0, 1, 2, 3, 4};
  packed.labels[0] = packed.labels[4] = kIgnoredLabel;
  EXPECT_EQ(supervised_labels(packed), 3 + 4);
}

TEST(ShareOfStep, CountsTheLabelsOfAllProcesses) {
  const auto examples = rows();  // 4, 2, 2, 10, 0 and 1 labels
  for (const std::int64_t P : {1, 2, 3, 6}) {
    for (std::int64_t rank = 0; rank < P; ++rank) {
      EXPECT_EQ(share_of_step(examples, kMicroBatches, rank, P).supervised, 19);
    }
  }
}

TEST(ShareOfStep, CountsTheTokensOfAllProcesses) {
  const auto examples = rows();
  for (const std::int64_t rank : {0, 1, 2}) {
    EXPECT_EQ(share_of_step(examples, kMicroBatches, rank, 3).tokens, 12 + 5 + 8 + 9 + 2 + 3);
  }
}

TEST(ShareOfStep, CountsTheRowsOfTheStepOnly) {
  const auto examples = rows();
  const std::vector<Places> one{{2}};
  const StepShare share = share_of_step(examples, one, 0, 2);
  EXPECT_EQ(share.supervised, 2);
  EXPECT_EQ(share.tokens, 3);
}

TEST(ShareOfStep, OwnMicroBatchesAreTurns) {
  const auto examples = rows();
  EXPECT_EQ(share_of_step(examples, kMicroBatches, 1, 3).own, (Places{1}));
  EXPECT_EQ(share_of_step(examples, kMicroBatches, 0, 3).own, (Places{0, 3}));
  EXPECT_EQ(share_of_step(examples, kMicroBatches, 5, 6).own, Places{});
}

TEST(GradientScale, IsOneOverTheLabelsOfTheStep) {
  EXPECT_EQ(gradient_scale({{0}, 16, 40}), 1.0 / 16);
  EXPECT_EQ(gradient_scale({{0}, 16, 40}, 1024.0), 64.0);
}

TEST(GradientScale, AStepWithoutLabelsHasNoGradient) {
  EXPECT_EQ(gradient_scale({{0}, 0, 40}, 1024.0), 0.0);
}

// A gradient of one number a label, g = its place in the data: the sum over processes is the mean
// over all labels, whoever computes which, and no mean of the processes' means.
TEST(GradientScale, ThePlainSumOverProcessesIsTheMeanOverAllLabels) {
  const auto examples = rows();
  const auto summed = [&](const Places& batch) {  // Σ over the micro-batch's labels
    double g = 0;
    for (const std::int64_t r : batch) {
      g += static_cast<double>(r) *
           static_cast<double>(supervised_labels(examples[static_cast<std::size_t>(r)]));
    }
    return g;
  };
  const double mean = (0 * 4 + 1 * 2 + 2 * 2 + 3 * 10 + 5 * 1) / 19.0;
  for (const std::int64_t P : {1, 2, 3, 4, 5}) {
    double total = 0;
    for (std::int64_t rank = 0; rank < P; ++rank) {
      const StepShare share = share_of_step(examples, kMicroBatches, rank, P);
      for (const std::int64_t i : share.own) {
        total += gradient_scale(share) * summed(kMicroBatches[static_cast<std::size_t>(i)]);
      }
    }
    // four products and sums in double of numbers up to 2
    EXPECT_TRUE(is_close(total, mean, 1e-14)) << P;
  }
}

}  // namespace
}  // namespace qlora
