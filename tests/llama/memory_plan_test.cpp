// The plan of a run's memory: published sizes, what fits, what is refused.
#include "llama/memory_plan.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "llama/load.h"
#include "support/matcher.h"
#include "support/shape_3b.h"

namespace qlora {
namespace {

using testing::is_close;
using testing::shape_3b;

constexpr std::int64_t kGiB = std::int64_t{1} << 30;

std::int64_t bytes_of(const MemoryPlan& plan, const std::string& name) {
  std::int64_t sum = 0;
  for (const MemoryPart& part : plan.parts) {
    if (part.name.find(name) != std::string::npos) sum += part.bytes;
  }
  EXPECT_GT(sum, 0) << name;
  return sum;
}

double gigabytes(std::int64_t bytes) {
  return static_cast<double>(bytes) / 1e9;
}

TEST(MemoryPlan, PartsOfThe3bShape) {
  const MemoryPlan plan = training_memory(shape_3b());
  // Published in GB with three decimals: half a unit of the last.
  EXPECT_TRUE(is_close(gigabytes(bytes_of(plan, "linear layers") + bytes_of(plan, "maxima")), 1.454,
                       0.0005));
  EXPECT_TRUE(is_close(gigabytes(bytes_of(plan, "embedding")), 0.788, 0.0005));
  // 24.3 M parameters in float32: values, gradients, both moments.
  const std::int64_t adapters = bytes_of(plan, "adapters, 24,313,856 parameters");
  EXPECT_EQ(adapters, 4 * 24313856);
  EXPECT_EQ(bytes_of(plan, "gradients") - bytes_of(plan, "gradients and scratch"), adapters);
  EXPECT_EQ(bytes_of(plan, "moments"), 2 * adapters);
  std::int64_t sum = 0;
  for (const MemoryPart& part : plan.parts) {
    sum += part.bytes;
    EXPECT_LE(part.bytes, part.most) << part.name;
  }
  EXPECT_EQ(sum, plan.total());
}

// All 392 matrices have 4,096 elements and more: a byte each for two codes, and 8 bytes for the two
// maxima of a block of 256; all are multiples of it. Then two maps of 256 values.
TEST(MemoryPlan, MomentsIn8Bits) {
  TrainingShape s = shape_3b();
  const std::int64_t in_32_bits = training_memory(s).total();
  s.moments_in_8bit = true;
  const std::int64_t moments = 2 * 24313856 + 8 * 24313856 / 256 + 2 * 1024;
  EXPECT_EQ(bytes_of(training_memory(s), "moments, 8 bits"), moments);
  EXPECT_EQ(in_32_bits - training_memory(s).total(), 8 * 24313856 - moments);
  s.lora.r = 1;  // A (1,3072), B (1024,1), (3072,1): float32; down's A and the MLP's B in 8 bits
  s.lora.target_modules = std::string("all-linear");
  const std::int64_t small = 4 * 3072 + 2 * 3072 + 2 * 1024 + 2 * 3072 + 3072;
  const std::int64_t large = 8192 + 2 * 8192;
  EXPECT_EQ(bytes_of(training_memory(s), "moments, 8 bits"),
            28 * (8 * small + 2 * large + 8 * large / 256) + 2 * 1024);
}

TEST(MemoryPlan, WhatThe3bShapeKeepsIsWhatItsLayersMake) {
  // A row of a layer, in columns of two bytes: x, qkv, attention, x_middle, gate_up, and 64 columns
  // of u for each group, of which attention's rows have o's a second time; then lse of 24 heads
  // in float32.
  const std::int64_t row = 2 * (3072 + 5120 + 3072 + 3072 + 2 * 8192 + 5 * 64) + 4 * 24;
  const MemoryPlan plan = training_memory(shape_3b());
  EXPECT_EQ(bytes_of(plan, "layer inputs") + bytes_of(plan, "activations kept of 28 layers"),
            8192 * (28 * row + 2 * 3072 + 5 * 4));  // and the last residual stream, and the batch
  // 61.5 KB a token and layer without the adapters' columns: published with three digits.
  EXPECT_TRUE(is_close(static_cast<double>(row - 2 * 5 * 64) / 1e3, 61.5, 0.05));
  EXPECT_EQ(plan.moment, "backward");
}

TEST(MemoryPlan, TotalsOfThe3bShape) {
  // Published floors in GB: 17.6, 8.3 and 5.4. They are the sums of weights (2.24), adapters
  // (0.44), a dequantized matrix (0.05), what is kept (14.1, 4.25, 1.41), a chunk of logits (0.26),
  // and 0.5, 1.1 and 1.0 for all that a layer needs while it is computed. The plan lists the last:
  // the tolerance is on that allowance, 0.4 for lean, whose parts are released one after the other.
  const auto total = [](ActivationPolicy policy) {
    return gigabytes(training_memory(shape_3b(policy)).total());
  };
  EXPECT_TRUE(is_close(total(ActivationPolicy::keep), 17.6, 0.3));
  EXPECT_TRUE(is_close(total(ActivationPolicy::lean), 8.3, 0.4));
  EXPECT_TRUE(is_close(total(ActivationPolicy::checkpoint), 5.4, 0.3));
  const MemoryPlan offload = training_memory(shape_3b(ActivationPolicy::offload));
  EXPECT_EQ(offload.pinned, std::int64_t{28} * 8192 * 3072 * 2);
  // 29 layer inputs on the device become three.
  EXPECT_EQ(training_memory(shape_3b(ActivationPolicy::checkpoint)).total() - offload.total(),
            std::int64_t{26} * 8192 * 3072 * 2);
}

TEST(MemoryPlan, TheHeadIsTheLargestMomentOfAShortBatch) {
  TrainingShape s = shape_3b(ActivationPolicy::checkpoint);
  s.B = 1;
  s.T = 1024;
  const MemoryPlan plan = training_memory(s);
  EXPECT_EQ(plan.moment, "head");
  const auto scratch =
      std::ranges::find(plan.parts, "gradients and scratch of a layer", &MemoryPart::name);
  ASSERT_NE(scratch, plan.parts.end());
  EXPECT_EQ(scratch->bytes, 0);
  EXPECT_GT(scratch->most, 0);
  s.supervised = 16;  // then hardly any logits are made
  EXPECT_EQ(training_memory(s).moment, "backward");
}

TEST(MemoryPlan, GenerationNeedsTheCache) {
  const MemoryPlan plan = generation_memory(shape_3b(), 128, 1920);
  EXPECT_EQ(bytes_of(plan, "cache"), std::int64_t{2048} * 114688);  // published: 114,688 a token
  EXPECT_LT(plan.total(), 4 * kGiB);
}

// ---- What fits
// -----------------------------------------------------------------------------------

TEST(WhatFits, GivesTheLargestBatchOfEachPolicy) {
  const TrainingShape shape = shape_3b();
  const std::int64_t limit = 16 * kGiB;
  const auto fits = what_fits(shape, limit);
  ASSERT_EQ(fits.size(), 4u);
  for (std::size_t i = 0; i < fits.size(); ++i) {
    TrainingShape s = shape_3b(fits[i].policy);
    s.B = fits[i].B;
    EXPECT_EQ(training_memory(s).total(), fits[i].bytes);
    EXPECT_LE(fits[i].bytes, limit);
    ++s.B;
    EXPECT_GT(training_memory(s).total(), limit);
    EXPECT_TRUE(i == 0 || fits[i].B > fits[i - 1].B);
  }
  EXPECT_EQ(what_fits(shape, kGiB).front().B, 0);
}

std::string refusal(const TrainingShape& shape, std::int64_t limit) {
  try {
    require_memory(shape, limit);
  } catch (const MachineLacks& e) {
    return e.what();
  }
  return "";
}

TEST(WhatFits, TheRefusalNamesOptionsThatFit) {
  EXPECT_EQ(refusal(shape_3b(), 80 * kGiB), "");
  const std::string line = refusal(shape_3b(), 16 * kGiB);
  EXPECT_NE(line.find("GiB, 16.0 GiB are there; these fit: --per-device-train-batch-size 3; "
                      "--activations lean; --activations checkpoint; --activations offload"),
            std::string::npos)
      << line;
  // Not at this batch with any policy.
  const std::string small = refusal(shape_3b(), 7 * kGiB / 2);
  EXPECT_NE(small.find("these fit: "), std::string::npos) << small;
  // Not even a row: a shorter one.
  TrainingShape one = shape_3b();
  one.B = 1;
  one.T = 65536;
  const std::string shorter = refusal(one, 4 * kGiB);
  EXPECT_NE(shorter.find("--activations offload --per-device-train-batch-size 1 --max-length "),
            std::string::npos)
      << shorter;
  EXPECT_NE(refusal(shape_3b(), kGiB).find("no batch and no length"), std::string::npos);
}

TEST(MemoryPlan, RefusesWhatCannotBe) {
  TrainingShape s = shape_3b();
  s.lora.target_modules = std::vector<std::string>{"lm_head"};
  EXPECT_THROW(training_memory(s), UsageError);
  s = shape_3b();
  s.base = BaseFormat::int8;
  EXPECT_THROW(training_memory(s), MachineLacks);
  s = shape_3b(ActivationPolicy::offload);
  s.device = Device::cpu;
  EXPECT_THROW(training_memory(s), UsageError);
  s = shape_3b();
  s.B = std::int64_t{1} << 62;
  EXPECT_THROW(training_memory(s), UsageError);
}

TEST(ActivationPolicy, NamesGoBothWays) {
  for (const ActivationPolicy policy : kActivationPolicies) {
    EXPECT_EQ(activation_policy_from(std::string(to_string(policy))), policy);
  }
  EXPECT_THROW(activation_policy_from("all"), UsageError);
}

}  // namespace
}  // namespace qlora
