// What rows a step trains on changes how fast a run is, not what it computes: packing and grouping
// by length.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <set>

#include "text/batch.h"
#include "text/packing.h"
#include "training/evaluation_loss.h"
#include "training/small_run.h"

namespace qlora {
namespace {

using testing::close_to_largest;
using testing::expect_equal_adapters;
using testing::is_close;
using testing::losses_of;
using testing::rows;
using testing::scratch;
using testing::SmallRun;

struct Setting {
  bool packing, group_by_length;
};

void PrintTo(const Setting& s, std::ostream* out) {
  *out << (s.packing ? "packed" : "unpacked") << (s.group_by_length ? ", grouped" : "");
}

SmallRun run_of(const Setting& setting) {
  SmallRun run;
  run.data = rows(60);
  if (setting.packing) run.data = pack(run.data, 24);
  run.arguments.group_by_length = setting.group_by_length;
  return run;
}

class DataOrder : public ::testing::TestWithParam<Setting> {};

TEST_P(DataOrder, AResumedRunIsTheUninterruptedOneBitForBit) {
  SmallRun whole = run_of(GetParam());
  const auto expected = losses_of(whole);
  ASSERT_EQ(expected.size(), 9u);
  for (const std::int64_t stop : {1, 5}) {
    const std::string folder = (scratch() / std::to_string(stop)).string();
    SmallRun first = run_of(GetParam());
    auto losses = losses_of(first, folder, std::nullopt, stop);
    SmallRun second = run_of(GetParam());
    for (const double loss : losses_of(second, folder, newest_checkpoint(folder))) {
      losses.push_back(loss);
    }
    EXPECT_EQ(losses, expected);
    expect_equal_adapters(second.model, whole.model);
  }
}

TEST_P(DataOrder, CheckpointingGivesTheSameRunBitForBit) {
  SmallRun plain = run_of(GetParam()), checkpointing = run_of(GetParam());
  checkpointing.arguments.activations = ActivationPolicy::checkpoint;
  EXPECT_EQ(losses_of(plain), losses_of(checkpointing));
  expect_equal_adapters(plain.model, checkpointing.model);
}

TEST_P(DataOrder, TrainsEveryTokenOfAnEpochOnce) {
  SmallRun run = run_of(GetParam());
  run.arguments.max_steps = -1;
  run.arguments.num_train_epochs = 1;
  std::int64_t tokens = 0;
  for (const TokenizedExample& e : rows(60)) {
    tokens += static_cast<std::int64_t>(e.input_ids.size());
  }
  TrainingTask task = run.task();
  EXPECT_EQ(train(task).tokens, tokens);
}

INSTANTIATE_TEST_SUITE_P(Settings, DataOrder,
                         ::testing::Values(Setting{false, true}, Setting{true, false},
                                           Setting{true, true}));

// A step over all rows, without dropout: the same loss and, to float32's rounding, the same
// gradient norm; the bound is that of tests/llama/packed_batch_test.cpp.
TEST(Packing, AStepOverAllRowsIsThatOfTheUnpackedOnes) {
  std::vector<StepReport> reports;
  for (const bool packing : {false, true}) {
    SmallRun run(false);
    if (packing) run.data = pack(run.data, 64);
    run.arguments.per_device_train_batch_size = 23;
    run.arguments.max_steps = 1;
    TrainingTask task = run.task();
    TrainingEvents events;
    events.on_step = [&](const StepReport& r) { reports.push_back(r); };
    train(task, events);
  }
  EXPECT_TRUE(is_close(reports[1].loss, reports[0].loss, 0, 2e-5));
  EXPECT_TRUE(is_close(reports[1].grad_norm, reports[0].grad_norm, 0, 2e-5));
  EXPECT_EQ(reports[1].tokens, reports[0].tokens);
}

TEST(Packing, EvaluationGivesTheLossOfTheUnpackedRows) {
  const SmallRun run;
  run.model.for_each_projection([](const LinearGroup&, const Projection& p) {
    for (const Adapter& a : p.adapters) std::ranges::fill(a.B.span<float>(), 0.02f);
  });
  LlamaModel model = run.model;
  model.reserve_positions(64);
  Arena arena;
  const double apart = evaluation_loss(model, run.data, 4, 0, arena);
  const auto packed = pack(run.data, 64);
  EXPECT_TRUE(is_close(evaluation_loss(model, packed, 4, 0, arena), apart, 0, 1e-5));
}

// Rows may be longer than the model's positions: no example is.
TEST(Packing, ARowMayBeLongerThanTheModelsPositions) {
  SmallRun run;
  run.model.config.max_position_embeddings = 16;  // the longest example
  run.arguments.max_steps = 1;
  run.data = pack(run.data, 200);
  EXPECT_EQ(losses_of(run).size(), 1u);
}

TEST(Packing, ACheckpointOfOtherRowsIsRefused) {
  const std::string folder = scratch().string();
  SmallRun first = run_of({true, false});
  losses_of(first, folder, std::nullopt, 3);
  const auto refusal = [&](SmallRun run) -> std::string {
    try {
      losses_of(run, folder, newest_checkpoint(folder));
    } catch (const BadInput& e) {
      return e.what();
    }
    return "resumed";
  };
  const std::string unpacked = refusal(run_of({false, false}));
  EXPECT_NE(unpacked.find("train_rows"), std::string::npos) << unpacked;
  EXPECT_NE(unpacked.find("--packing"), std::string::npos) << unpacked;
  SmallRun shorter = run_of({true, false});
  shorter.data[0].input_ids.pop_back();
  shorter.data[0].labels.pop_back();
  shorter.data[0].position_ids.pop_back();
  EXPECT_NE(refusal(shorter).find("train_tokens"), std::string::npos);
}

TEST(Packing, ACheckpointThatDoesNotSayItsRowsIsRefused) {
  const std::string folder = scratch().string();
  SmallRun run = run_of({true, false});
  losses_of(run, folder, std::nullopt, 3);
  const std::string checkpoint = newest_checkpoint(folder).value_or("");
  Json older = Json::object();
  const Json resume = Json::read(checkpoint + "/resume.json");
  for (const auto& [name, value] : resume.as_object()) {
    if (name != "train_rows" && name != "train_tokens") older[name] = value;
  }
  std::ofstream(checkpoint + "/resume.json") << older.dump();
  try {
    losses_of(run, folder, checkpoint);
    FAIL() << "resumed";
  } catch (const BadInput& e) {
    const std::string message = e.what();
    EXPECT_TRUE(message.starts_with(checkpoint + "/resume.json: train_rows: ")) << message;
    EXPECT_NE(message.find("an older version"), std::string::npos) << message;
  }
}

// transformers sorts within pieces of whole optimizer steps, so that the micro-batches of a step
// are of like length too.
TEST(GroupByLength, TheRowsOfAStepAreNeighborsByLength) {
  SmallRun run;
  run.data = rows(64);
  run.arguments.max_steps = -1;
  run.arguments.num_train_epochs = 1;
  const auto length = [&](std::int64_t row) {
    return run.data[static_cast<std::size_t>(row)].input_ids.size();
  };
  // Padding that the batches of an epoch have, and how far the lengths within a step are apart.
  std::int64_t padding[2] = {0, 0};
  std::size_t spread[2] = {0, 0};
  for (const bool grouped : {false, true}) {
    run.arguments.group_by_length = grouped;
    StepPlan plan(run.data, run.arguments);
    ASSERT_EQ(plan.steps_per_epoch(), 8);
    for (std::int64_t step = 0; step < 8; ++step) {
      std::set<std::size_t> lengths;
      for (const auto& batch : plan.micro_batches(step)) {
        const Batch b = collate(run.data, batch, 0);
        padding[grouped ? 1 : 0] += b.input_ids.numel() - b.tokens;
        for (const std::int64_t row : batch) lengths.insert(length(row));
      }
      spread[grouped ? 1 : 0] += *lengths.rbegin() - *lengths.begin();
    }
    // 64 rows, 8 a step: pieces of 2 steps, each sorted; the first begins with the longest row.
    if (grouped) {
      EXPECT_EQ(length(plan.micro_batches(0)[0][0]), 16u);
    }
  }
  EXPECT_LT(2 * padding[1], padding[0]);
  EXPECT_LT(3 * spread[1], 2 * spread[0]);
}

}  // namespace
}  // namespace qlora
