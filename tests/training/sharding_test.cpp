// Bytes of shared-out training state, and of the messages that keep it together.
#include "training/sharding.h"

#include <gtest/gtest.h>

#include "support/matcher.h"

namespace qlora {
namespace {

using testing::is_close;
using enum Sharding;
using enum Collective;

constexpr double kRounding = 1e-15;  // relative: a few operations in double

::testing::AssertionResult equal(double computed, double right) {
  return is_close(computed / right, 1.0, 4 * kRounding);
}

TEST(StateBytes, SixteenAParameterEitherWay) {
  EXPECT_EQ(kMixedPrecision.total(), 16);
  EXPECT_EQ(kAllFloat32.total(), 16);
  EXPECT_EQ(state_bytes(1000, kMixedPrecision, none, 1), 16000);
  EXPECT_EQ(state_bytes(1000, kAllFloat32, none, 1), 16000);
}

TEST(StateBytes, PlainDataParallelSavesNothing) {
  EXPECT_EQ(state_bytes(1000, kMixedPrecision, none, 8), 16000);
}

// ZeRO's figure 1: 7.5e9 parameters on 64 GPUs take 120, 31.4, 16.6 and 1.9 GB.
TEST(StateBytes, AreThoseOfThePaper) {
  constexpr std::int64_t n = 7'500'000'000;
  EXPECT_TRUE(
      is_close(static_cast<double>(state_bytes(n, kMixedPrecision, none, 64)), 120e9, 0.05e9));
  EXPECT_TRUE(is_close(static_cast<double>(state_bytes(n, kMixedPrecision, optimizer, 64)), 31.4e9,
                       0.05e9));
  EXPECT_TRUE(is_close(static_cast<double>(state_bytes(n, kMixedPrecision, gradients, 64)), 16.6e9,
                       0.05e9));
  EXPECT_TRUE(is_close(static_cast<double>(state_bytes(n, kMixedPrecision, parameters, 64)), 1.9e9,
                       0.05e9));
}

TEST(StateBytes, EachStageSharesOutOneThingMore) {
  const StateBytes bytes{3, 5, 11};  // no two alike
  EXPECT_EQ(state_bytes(700, bytes, optimizer, 7), 3 * 700 + 5 * 700 + 11 * 100);
  EXPECT_EQ(state_bytes(700, bytes, gradients, 7), 3 * 700 + 5 * 100 + 11 * 100);
  EXPECT_EQ(state_bytes(700, bytes, parameters, 7), 3 * 100 + 5 * 100 + 11 * 100);
}

TEST(StateBytes, AShareIsRoundedUp) {
  EXPECT_EQ(state_bytes(10, kMixedPrecision, parameters, 4), 16 * 3);
  EXPECT_EQ(state_bytes(3, kMixedPrecision, parameters, 1024), 16);
  EXPECT_EQ(state_bytes(0, kMixedPrecision, parameters, 4), 0);
}

TEST(StateBytes, RefusesNoProcess) {
  EXPECT_THROW(state_bytes(10, kMixedPrecision, none, 0), std::invalid_argument);
  EXPECT_THROW(state_bytes(-1, kMixedPrecision, none, 2), std::invalid_argument);
}

TEST(RingBytes, OneProcessSendsNothing) {
  for (const Collective c : {reduce_scatter, all_gather, all_reduce})
    EXPECT_EQ(ring_bytes(c, 1e9, 1), 0);
}

TEST(RingBytes, ARoundLeavesOutTheOwnPart) {
  EXPECT_TRUE(equal(ring_bytes(reduce_scatter, 1000, 8), 875));
  EXPECT_TRUE(equal(ring_bytes(all_gather, 1000, 8), 875));
  EXPECT_TRUE(equal(ring_bytes(all_gather, 1000, 2), 500));
}

TEST(RingBytes, AnAllReduceIsTwoRounds) {
  EXPECT_TRUE(equal(ring_bytes(all_reduce, 1000, 2), 1000));
  EXPECT_TRUE(equal(ring_bytes(all_reduce, 1000, 8), 1750));
}

TEST(RingBytes, HardlyGrowWithTheNumberOfProcesses) {
  EXPECT_LT(ring_bytes(all_reduce, 1000, 1024), 2000);
  EXPECT_GT(ring_bytes(all_reduce, 1000, 1024), 1998);
}

const StateBytes kUnlike{3, 5, 11};

TEST(StepBytes, PlainDataParallelReducesTheGradientsOnce) {
  for (const std::int64_t M : {1, 4}) {
    EXPECT_TRUE(equal(step_bytes(1000, kUnlike, none, 4, M), 2 * 0.75 * 5000)) << M;
  }
}

TEST(StepBytes, ASharedOptimizerScattersGradientsAndGathersWeights) {
  for (const std::int64_t M : {1, 4}) {
    EXPECT_TRUE(equal(step_bytes(1000, kUnlike, optimizer, 4, M), 0.75 * (5000 + 3000))) << M;
  }
}

// The same number of bytes as plain data parallel where a gradient is as large as a weight.
TEST(StepBytes, AsMuchAsPlainDataParallelForTwoStages) {
  for (const Sharding s : {optimizer, gradients}) {
    EXPECT_TRUE(equal(step_bytes(1000, kMixedPrecision, s, 8, 1),
                      step_bytes(1000, kMixedPrecision, none, 8, 1)));
  }
}

TEST(StepBytes, SharedGradientsAreScatteredInEveryMicroBatch) {
  EXPECT_TRUE(equal(step_bytes(1000, kUnlike, gradients, 4, 1), 0.75 * (5000 + 3000)));
  EXPECT_TRUE(equal(step_bytes(1000, kUnlike, gradients, 4, 3), 0.75 * (3 * 5000 + 3000)));
}

TEST(StepBytes, SharedWeightsAreGatheredTwiceInEveryMicroBatch) {
  EXPECT_TRUE(equal(step_bytes(1000, kUnlike, parameters, 4, 1), 0.75 * (5000 + 2 * 3000)));
  EXPECT_TRUE(equal(step_bytes(1000, kUnlike, parameters, 4, 3), 3 * 0.75 * (5000 + 2 * 3000)));
}

// "1.5x": section 7.2 of the paper.
TEST(StepBytes, SharedWeightsCostHalfAsMuchAgain) {
  EXPECT_TRUE(equal(step_bytes(1000, kMixedPrecision, parameters, 8, 1) /
                        step_bytes(1000, kMixedPrecision, none, 8, 1),
                    1.5));
}

TEST(StepBytes, OfBillionsAreCountedWhole) {
  EXPECT_TRUE(equal(step_bytes(70'000'000'000, kMixedPrecision, none, 2, 1), 140e9));
}

TEST(RingRate, WithinANodeItsOwnLink) {
  const Links links{8, 360e9, 320e9};
  EXPECT_EQ(ring_rate(links, 1), 360e9);
  EXPECT_EQ(ring_rate(links, 8), 360e9);
}

TEST(RingRate, BeyondANodeTheSlowerOfTheTwo) {
  EXPECT_EQ(ring_rate({8, 360e9, 320e9}, 9), 320e9);
  EXPECT_EQ(ring_rate({8, 360e9, 20e9}, 1024), 20e9);
  EXPECT_EQ(ring_rate({8, 25e9, 320e9}, 16), 25e9);
}

TEST(Efficiency, ApartTheTimesAreAdded) {
  EXPECT_TRUE(equal(efficiency(3, 1).apart, 0.75));
  EXPECT_TRUE(equal(efficiency(1, 3).apart, 0.25));
}

TEST(Efficiency, HiddenOnlyWhatExceedsTheComputationShows) {
  EXPECT_EQ(efficiency(3, 1).hidden, 1.0);
  EXPECT_TRUE(equal(efficiency(1, 4).hidden, 0.25));
}

TEST(Sharding, IsCalledByItsStage) {
  EXPECT_EQ(to_string(none), "data parallel");
  EXPECT_EQ(to_string(optimizer), "ZeRO-1");
  EXPECT_EQ(to_string(gradients), "ZeRO-2");
  EXPECT_EQ(to_string(parameters), "ZeRO-3");
}

}  // namespace
}  // namespace qlora
