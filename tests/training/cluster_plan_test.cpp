// Runs on many GPUs, on paper, against sums made by hand from published sizes.
#include "training/cluster_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "llama/load.h"
#include "llama/memory_plan.h"
#include "support/matcher.h"

namespace qlora {
namespace {

using testing::is_close;

ClusterRun run_of(const char* model, Tuning tuning, Sharding sharding = Sharding::none,
                  std::int64_t gpus = 1) {
  ClusterRun run;
  run.shape.config = named_config(model);
  run.shape.lora.r = 16;
  run.shape.lora.target_modules = std::string("all-linear");
  run.shape.B = 4;
  run.shape.T = 2048;
  run.shape.activations = ActivationPolicy::checkpoint;
  run.tuning = tuning;
  run.sharding = sharding;
  run.gpus = gpus;
  return run;
}

double state_gigabytes(const ClusterRun& run) {
  return cluster_plan(run, h100_cluster()).state / 1e9;
}

// 8,030,261,248 parameters, and 70,553,706,496: Meta's model cards round them to 8.03 B and 70.6 B.
TEST(ClusterPlan, StateOfFullTrainingIsSixteenBytesAParameterByStage) {
  const double eight = 8.030261248, seventy = 70.553706496, ten_bytes = 1e-8;
  EXPECT_TRUE(
      is_close(state_gigabytes(run_of("llama-3.1-8b", Tuning::full)), 16 * eight, ten_bytes));
  EXPECT_TRUE(
      is_close(state_gigabytes(run_of("llama-3.1-8b", Tuning::full, Sharding::optimizer, 8)),
               4 * eight + 12 * eight / 8, ten_bytes));
  EXPECT_TRUE(
      is_close(state_gigabytes(run_of("llama-3.1-70b", Tuning::full, Sharding::gradients, 64)),
               2 * seventy + 14 * seventy / 64, ten_bytes));
  EXPECT_TRUE(
      is_close(state_gigabytes(run_of("llama-3.1-70b", Tuning::full, Sharding::parameters, 64)),
               seventy / 4, 2e-8));
}

TEST(ClusterPlan, ALoraRunIsThePlanOfOneGpuOnEveryGpu) {
  for (const std::int64_t P : {1, 8, 1024}) {
    const ClusterRun run = run_of("llama-3.1-8b", Tuning::lora, Sharding::none, P);
    EXPECT_EQ(cluster_plan(run, h100_cluster()).bytes(),
              static_cast<double>(training_memory(run.shape).total()));
  }
}

// The base dominates: 0.516 bytes a linear weight, 2 of embedding and head.
TEST(ClusterPlan, AFrozenBaseOf70BTakes40Gigabytes) {
  const double linears = 80 * (8192.0 * (2 * 8192 + 2 * 1024) + 3 * 8192.0 * 28672);
  const double base = 0.51587 * linears + 2 * 2.0 * 128256 * 8192;
  const double state = state_gigabytes(run_of("llama-3.1-70b", Tuning::lora));
  EXPECT_GT(state, base / 1e9);
  EXPECT_LT(state, base / 1e9 + 5);  // 207 M adapter parameters of 16 bytes, and small things
}

TEST(ClusterPlan, SharedWeightsAreGatheredWhereThereAreOthers) {
  EXPECT_EQ(
      cluster_plan(run_of("llama-3.1-8b", Tuning::full, Sharding::parameters, 1), h100_cluster())
          .gathered,
      0);
  EXPECT_EQ(
      cluster_plan(run_of("llama-3.1-8b", Tuning::full, Sharding::gradients, 8), h100_cluster())
          .gathered,
      0);
  const double head = 2 * 128256.0 * 4096,
               layer = 2 * (4096.0 * (2 * 4096 + 2 * 1024) + 3 * 4096.0 * 14336);
  EXPECT_EQ(
      cluster_plan(run_of("llama-3.1-8b", Tuning::full, Sharding::parameters, 8), h100_cluster())
          .gathered,
      std::max(2 * layer, head));
}

// "6 N": of linears and head, two FLOPs a multiply-add forward, twice that backward.
TEST(ClusterPlan, FullTrainingIsSixFlopsAWeightAndToken) {
  TrainingShape shape = run_of("llama-3.2-3b", Tuning::full).shape;
  shape.activations = ActivationPolicy::keep;
  double products = 0;
  for (const StepCost& cost : full_step_costs(shape, 1.0)) {
    if (cost.bound == Bound::products) products += cost.amount;
  }
  const double weights = 2818572288.0 + 394002432.0;
  EXPECT_TRUE(is_close(products / (6 * weights * 8192), 1.0, 1e-12));
}

// A step's moments, master copy, gradient and weight are read and written; a share steps its part.
TEST(ClusterPlan, TheOptimizerMovesAllItsStateTwice) {
  const auto adamw = [](double share) {
    const auto costs = full_step_costs(run_of("llama-3.2-3b", Tuning::full).shape, share);
    return std::ranges::find(costs, "AdamW", &StepCost::name)->amount;
  };
  EXPECT_TRUE(is_close(adamw(1.0), 32 * 3212749824.0, 1.0));
  EXPECT_TRUE(is_close(adamw(0.125), 4 * 3212749824.0, 1.0));
}

TEST(ClusterPlan, GradientsOfAdaptersAreSentInFloat32) {
  const ClusterPlan plan =
      cluster_plan(run_of("llama-3.2-3b", Tuning::lora, Sharding::none, 2), h100_cluster());
  EXPECT_TRUE(is_close(plan.sent, 4 * 24'313'856.0, 1.0));
  EXPECT_TRUE(is_close(plan.exchange, 4 * 24'313'856.0 / 360e9, 1e-12));
}

TEST(ClusterPlan, MicroBatchesComputeMoreAndSendNoMore) {
  ClusterRun run = run_of("llama-3.1-8b", Tuning::full, Sharding::none, 8);
  const ClusterPlan one = cluster_plan(run, h100_cluster());
  run.micro_batches = 4;
  const ClusterPlan four = cluster_plan(run, h100_cluster());
  EXPECT_EQ(four.sent, one.sent);
  EXPECT_EQ(four.tokens, 4 * one.tokens);
  // The optimizer steps once: 32 bytes of each of 8,030,261,248 parameters at 3.0 TB/s.
  const double adamw = 32 * 8030261248.0 / 3.0e12;
  EXPECT_TRUE(is_close(four.compute, 4 * one.compute - 3 * adamw, 1e-12));
  EXPECT_GT(four.efficiency.apart, one.efficiency.apart);
}

TEST(ClusterPlan, TokensASecondAreThoseOfAllGpus) {
  const ClusterPlan plan =
      cluster_plan(run_of("llama-3.1-8b", Tuning::full, Sharding::none, 16), h100_cluster());
  EXPECT_EQ(plan.tokens, 16 * 8192.0);
  EXPECT_TRUE(is_close(plan.tokens_per_second(false) * (plan.compute + plan.exchange) / plan.tokens,
                       1.0, 1e-12));
  EXPECT_TRUE(
      is_close(plan.tokens_per_second(true) * std::max(plan.compute, plan.exchange) / plan.tokens,
               1.0, 1e-12));
}

constexpr std::array<std::int64_t, 5> kGpus{1, 8, 16, 32, 64};

TEST(ClusterPlan, WhatFirstFits) {
  const Cluster h100 = h100_cluster();
  const auto first = [&](const char* model, Tuning tuning, Sharding sharding) {
    return first_that_fits(run_of(model, tuning, sharding), h100, kGpus);
  };
  // 128 GB of state never fit where nothing is shared out; the rest does on eight.
  EXPECT_EQ(first("llama-3.1-8b", Tuning::full, Sharding::none), std::nullopt);
  EXPECT_EQ(first("llama-3.1-8b", Tuning::full, Sharding::optimizer), 8);
  // 141 GB of weights alone: ZeRO-3, and 70.6 GB on sixteen leave no room for activations.
  EXPECT_EQ(first("llama-3.1-70b", Tuning::full, Sharding::gradients), std::nullopt);
  EXPECT_EQ(first("llama-3.1-70b", Tuning::full, Sharding::parameters), 32);
  EXPECT_EQ(first("llama-3.1-70b", Tuning::lora, Sharding::none), 1);
}

TEST(ClusterPlan, RefusesNoGpu) {
  EXPECT_THROW(
      cluster_plan(run_of("llama-3.1-8b", Tuning::full, Sharding::none, 0), h100_cluster()),
      std::invalid_argument);
}

}  // namespace
}  // namespace qlora
