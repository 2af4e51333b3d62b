// Losses row by row: each is the loss of the row alone, and together they are the data set's.
#include "training/evaluation_loss.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "llama/decoder.h"
#include "support/device.h"
#include "support/golden_batch.h"
#include "support/matcher.h"

namespace qlora {
namespace {

using testing::is_close;

// Rows of 3 to 11 tokens, with a prompt of 0 to 3 of them; the longest first.
std::vector<TokenizedExample> some_rows() {
  std::vector<TokenizedExample> rows;
  for (int r = 0; r < 7; ++r) {
    TokenizedExample row;
    const int tokens = 3 + (r * 5 + 1) % 9;
    for (int t = 0; t < tokens; ++t) {
      row.input_ids.push_back(1 + (r * 31 + t * 17) % 60);
      row.labels.push_back(t < r % 4 ? kIgnoredLabel : row.input_ids.back());
    }
    rows.push_back(row);
  }
  return rows;
}

TEST(RowLosses, AreThoseOfTheRowsAlone) {
  LlamaModel model = testing::golden_model("llama/a_fp32");
  model.reserve_positions(16);
  const std::vector<TokenizedExample> rows = some_rows();
  Arena arena = testing::test_arena();
  std::vector<std::int64_t> progress;
  const std::vector<RowLoss> losses =
      row_losses(model, rows, 3, 0, arena, [&](std::int64_t done) { progress.push_back(done); });
  EXPECT_EQ(progress, (std::vector<std::int64_t>{3, 6, 7}));
  ASSERT_EQ(losses.size(), rows.size());
  double sum = 0.0, tokens = 0.0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::int64_t number = static_cast<std::int64_t>(i);
    const Batch alone = collate(rows, std::span(&number, 1), 0);
    // The same float32 products in batches of another shape, a few roundings of losses of some 10.
    EXPECT_TRUE(is_close(losses[i].sum, loss_forward(model, alone, arena), 0.0, 1e-5)) << i;
    EXPECT_EQ(losses[i].tokens, alone.supervised) << i;
    sum += losses[i].sum;
    tokens += static_cast<double>(losses[i].tokens);
  }
  EXPECT_TRUE(is_close(sum / tokens, evaluation_loss(model, rows, 3, 0, arena), 0.0, 1e-6));
}

TEST(RowLosses, ARowWithoutLabelsHasNone) {
  LlamaModel model = testing::golden_model("llama/a_fp32");
  model.reserve_positions(16);
  std::vector<TokenizedExample> rows = some_rows();
  std::ranges::fill(rows[2].labels, kIgnoredLabel);
  Arena arena = testing::test_arena();
  const std::vector<RowLoss> losses = row_losses(model, rows, 8, 0, arena);
  EXPECT_EQ(losses[2].sum, 0.0);
  EXPECT_EQ(losses[2].tokens, 0);
  EXPECT_GT(losses[1].sum, 0.0);
}

}  // namespace
}  // namespace qlora
