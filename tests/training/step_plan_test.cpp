// Which rows an optimizer step trains on.
#include "training/step_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "core/error.h"
#include "text/batch.h"

namespace qlora {
namespace {

using Batches = std::vector<std::vector<std::int64_t>>;

// So many rows; row i has i % 13 + 1 tokens.
std::vector<TokenizedExample> rows(std::int64_t n) {
  std::vector<TokenizedExample> all(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < all.size(); ++i) all[i].input_ids.resize(i % 13 + 1, 5);
  return all;
}

TrainingArguments arguments(std::int64_t batch_size, std::int64_t accumulation,
                            double epochs = 1.0) {
  TrainingArguments a;
  a.per_device_train_batch_size = batch_size;
  a.gradient_accumulation_steps = accumulation;
  a.num_train_epochs = epochs;
  return a;
}

std::vector<std::int64_t> flat(const Batches& batches) {
  std::vector<std::int64_t> all;
  for (const auto& batch : batches) all.insert(all.end(), batch.begin(), batch.end());
  return all;
}

// The rows of an epoch in the order in which they are trained on.
std::vector<std::int64_t> epoch_of(StepPlan& plan, std::int64_t epoch) {
  std::vector<std::int64_t> all;
  for (std::int64_t s = 0; s < plan.steps_per_epoch(); ++s) {
    const auto step = flat(plan.micro_batches(epoch * plan.steps_per_epoch() + s));
    all.insert(all.end(), step.begin(), step.end());
  }
  return all;
}

TEST(StepPlan, CountsTheCoursesSteps) {
  const StepPlan llama2(rows(1000), arguments(16, 1));
  EXPECT_EQ(llama2.steps_per_epoch(), 63);
  EXPECT_EQ(llama2.total_steps(), 63);
  const StepPlan price(rows(20000), arguments(4, 4, 3));
  EXPECT_EQ(price.steps_per_epoch(), 1250);
  EXPECT_EQ(price.total_steps(), 3750);
}

// 1,000 rows, 4 a micro-batch: 250 of them; 16 a step leave 10 for the last.
TEST(StepPlan, TheLastStepOfAnEpochHasWhatIsLeft) {
  StepPlan plan(rows(1000), arguments(4, 16));
  EXPECT_EQ(plan.steps_per_epoch(), 16);
  EXPECT_EQ(plan.micro_batches(14).size(), 16u);
  EXPECT_EQ(plan.micro_batches(15).size(), 10u);
}

TEST(StepPlan, TheLastMicroBatchMayBeShort) {
  StepPlan plan(rows(11), arguments(4, 2));
  EXPECT_EQ(plan.steps_per_epoch(), 2);
  const Batches first = plan.micro_batches(0), last = plan.micro_batches(1);
  ASSERT_EQ(first.size(), 2u);
  EXPECT_EQ(first[0].size(), 4u);
  EXPECT_EQ(first[1].size(), 4u);
  ASSERT_EQ(last.size(), 1u);
  EXPECT_EQ(last[0].size(), 3u);
}

TEST(StepPlan, AnEpochIsEveryRowOnce) {
  for (const bool grouped : {false, true}) {
    TrainingArguments a = arguments(3, 2);
    a.group_by_length = grouped;
    StepPlan plan(rows(50), a);
    for (const std::int64_t epoch : {0, 1}) {
      std::vector<std::int64_t> all = epoch_of(plan, epoch), expected(50);
      std::iota(expected.begin(), expected.end(), std::int64_t{0});
      std::ranges::sort(all);
      EXPECT_EQ(all, expected) << grouped << epoch;
    }
  }
}

TEST(StepPlan, TheOrderIsThatOfSeedAndEpoch) {
  TrainingArguments a = arguments(3, 2);
  a.seed = 7;
  StepPlan plan(rows(50), a);
  for (const std::int64_t epoch : {0, 1, 2}) {
    EXPECT_EQ(epoch_of(plan, epoch), epoch_order(50, 7, epoch)) << epoch;
  }
  EXPECT_NE(epoch_of(plan, 0), epoch_of(plan, 1));
  a.seed = 8;
  StepPlan other(rows(50), a);
  EXPECT_NE(epoch_of(plan, 0), epoch_of(other, 0));
}

// transformers sorts within pieces of whole optimizer steps.
TEST(StepPlan, GroupsByLengthOverWholeSteps) {
  TrainingArguments a = arguments(3, 4);
  a.group_by_length = true;
  a.seed = 7;
  const auto data = rows(230);
  StepPlan plan(data, a);
  std::vector<std::int64_t> lengths;
  for (const TokenizedExample& e : data) {
    lengths.push_back(static_cast<std::int64_t>(e.input_ids.size()));
  }
  for (const std::int64_t epoch : {0, 1}) {
    EXPECT_EQ(epoch_of(plan, epoch), length_grouped_order(lengths, 12, 7, epoch)) << epoch;
  }
}

// A resumed run asks for its next step first; nothing hangs on what was asked before.
TEST(StepPlan, AStepIsTheSameWheneverItIsAskedFor) {
  const auto data = rows(50);
  StepPlan through(data, arguments(4, 2, 3));
  std::vector<Batches> all;
  for (std::int64_t step = 0; step < through.total_steps(); ++step) {
    all.push_back(through.micro_batches(step));
  }
  ASSERT_EQ(all.size(), 21u);
  StepPlan back_and_forth(data, arguments(4, 2, 3));
  for (const std::int64_t step : {20, 0, 13, 6, 7, 13}) {
    StepPlan resumed(data, arguments(4, 2, 3));
    EXPECT_EQ(resumed.micro_batches(step), all[static_cast<std::size_t>(step)]) << step;
    EXPECT_EQ(through.micro_batches(step), all[static_cast<std::size_t>(step)])
        << "back at " << step;
    EXPECT_EQ(back_and_forth.micro_batches(step), all[static_cast<std::size_t>(step)])
        << "the last epoch first: " << step;
  }
}

TEST(StepPlan, MaxStepsWinOverEpochs) {
  TrainingArguments a = arguments(4, 2, 3);
  a.max_steps = 100;
  StepPlan plan(rows(50), a);
  EXPECT_EQ(plan.total_steps(), 100);
  EXPECT_EQ(plan.steps_per_epoch(), 7);
  EXPECT_EQ(flat(plan.micro_batches(99)).size(), 8u);  // the second step of epoch 14
  a.max_steps = 2;
  EXPECT_EQ(StepPlan(rows(50), a).total_steps(), 2);
  a.max_steps = 0;
  EXPECT_EQ(StepPlan(rows(50), a).total_steps(), 21) << "only above 0";
}

TEST(StepPlan, APartOfAnEpochIsRoundedUp) {
  EXPECT_EQ(StepPlan(rows(50), arguments(4, 2, 0.5)).total_steps(), 4);   // of 3.5
  EXPECT_EQ(StepPlan(rows(50), arguments(4, 2, 0.01)).total_steps(), 1);  // of 0.07
  EXPECT_EQ(StepPlan(rows(50), arguments(4, 2, 2.5)).total_steps(), 18);  // of 17.5
}

TEST(StepPlan, EpochsPassWithTheirSteps) {
  const StepPlan plan(rows(50), arguments(4, 2, 3));
  EXPECT_EQ(plan.epoch_after(0), 0.0);
  EXPECT_EQ(plan.epoch_after(7), 1.0);
  EXPECT_EQ(plan.epoch_after(10), 10.0 / 7.0);
}

TEST(StepPlan, NoRowsAreRefused) {
  EXPECT_THROW(StepPlan({}, arguments(4, 2)), BadInput);
}

}  // namespace
}  // namespace qlora
