// torch's AdamW, clipping, cross-entropy and transformers' schedules.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "checkpoint/safetensors.h"
#include "core/json.h"
#include "ops/cross_entropy.h"
#include "ops/ops.h"
#include "support/golden.h"
#include "support/matcher.h"
#include "training/optimizer.h"
#include "training/schedule.h"

namespace qlora {
namespace {

using testing::all_close;
using testing::close_to_largest;
using testing::golden;
using testing::is_close;

// Row `step` of a tensor that holds one row a step.
Tensor at_step(const Tensor& all, std::int64_t step, const Shape& shape) {
  return all.rows(step, step + 1).reshape(shape);
}

// The name of a parameter's tensor: "wd0.exp_avg.b".
std::string named(std::string setting, const char* kind, const std::string& parameter) {
  return setting.append(kind).append(".").append(parameter);
}

// Traces are within 3.6e-7 of each tensor's largest between float32 and float64: 3e-6 is asked for.
TEST(GoldenAdamW, TracesOfTenSteps) {
  const auto file = SafetensorsFile::open(golden("train/adamw.safetensors"));
  const Json settings = Json::read(golden("train/adamw.json"));
  for (const auto& [name, s] : settings.as_object()) {
    for (const std::string p : {"b", "big", "late_grad", "scalar", "tiny_grad", "w", "zero_grad"}) {
      const Tensor value = file.tensor("p0." + p).clone();
      const Tensor m = Tensor::zeros(DType::f32, value.shape());
      const Tensor v = Tensor::zeros(DType::f32, value.shape());
      AdamWStep step{s.at("lr").as_number(),           s.at("betas").at(0).as_number(),
                     s.at("betas").at(1).as_number(),  s.at("eps").as_number(),
                     s.at("weight_decay").as_number(), 0};
      for (std::int64_t i = 0; i < s.at("steps").as_integer(); ++i) {
        ++step.t;
        const auto expected = [&](const char* kind) {
          return at_step(file.tensor(named(name, kind, p)), i, value.shape());
        };
        ops::adamw(step, at_step(file.tensor(named("g", "", p)), i, value.shape()), value, m, v);
        EXPECT_TRUE(close_to_largest(value, expected(".p"), 3e-6)) << name << p << " step " << i;
        // bitsandbytes decays after the update: off by lr · wd · update a step, and Adam's update
        // is at most about lr. The rest is float32 over a few steps.
        const double decay = 1.1 * step.lr * step.weight_decay * step.lr;
        EXPECT_TRUE(
            all_close(value, expected(".bnb32.p"), 1e-5 + decay * static_cast<double>(i + 1), 1e-5))
            << name << p << " step " << i;
      }
      EXPECT_TRUE(close_to_largest(m, file.tensor(named(name, ".exp_avg", p)), 3e-6)) << p;
      EXPECT_TRUE(close_to_largest(v, file.tensor(named(name, ".exp_avg_sq", p)), 3e-6)) << p;
    }
  }
}

TEST(GoldenClip, NormAndFactor) {
  const auto file = SafetensorsFile::open(golden("train/clip.safetensors"));
  const Json rows = Json::read(golden("train/clip.json")).at("rows");
  for (const Json& row : rows.as_array()) {
    const std::string& name = row.at("case").as_string();
    const std::vector<std::string> names{"a", "b", "c", "allzero"};
    std::vector<Tensor> gradients;
    gradients.reserve(names.size());
    for (const std::string& p : names) {
      gradients.push_back(file.tensor(std::string(name).append(".").append(p).append(".before")));
    }
    Arena arena;
    const Tensor on_cpu = Tensor::empty(DType::f64, {1});
    ops::gradient_norm(gradients, arena, on_cpu);
    const double norm = *on_cpu.data<double>();
    // our sum is in double, so the float64 norm is met to its last digits
    EXPECT_TRUE(is_close(norm, row.at("norm_f64").as_number(), 0, 1e-12)) << name;
    EXPECT_TRUE(is_close(norm, row.at("norm").as_number(), 0, 5e-7)) << name;
    const double factor = clip_factor(norm, row.at("max_norm").as_number());
    EXPECT_TRUE(is_close(factor, row.at("factor").as_number(), 0, 5e-7)) << name;
    for (std::size_t p = 0; p < names.size(); ++p) {
      const Tensor after = file.tensor(name + "." + names[p] + ".after");
      for (std::int64_t i = 0; i < after.numel(); ++i) {
        const float clipped = gradients[p].data<float>()[i] * static_cast<float>(factor);
        // one rounding of the factor and one of the product
        EXPECT_TRUE(is_close(clipped, after.data<float>()[i], 0, 6e-7)) << name;
      }
    }
  }
}

TEST(GoldenCrossEntropy, LossesAndGradients) {
  const auto file = SafetensorsFile::open(golden("train/cross_entropy.safetensors"));
  const Json rows = Json::read(golden("train/cross_entropy.json")).at("rows");
  for (const Json& row : rows.as_array()) {
    const std::string& name = row.at("case").as_string();
    const Tensor logits = file.tensor(name + ".input");
    const Tensor targets = file.tensor(name + ".targets");
    const std::int64_t V = logits.dim(1);
    // The head with an identity for its weight has the given logits; the supervised rows count.
    const Tensor identity = Tensor::zeros(DType::f32, {V, V});
    for (std::int64_t v = 0; v < V; ++v) identity.data<float>()[v * V + v] = 1.0f;
    const Tensor narrow = Tensor::empty(DType::i32, {targets.numel()});
    std::int64_t supervised = 0;
    for (std::int64_t i = 0; i < targets.numel(); ++i) {
      narrow.data<std::int32_t>()[i] = static_cast<std::int32_t>(targets.data<std::int64_t>()[i]);
      supervised += targets.data<std::int64_t>()[i] != -100;
    }
    Arena arena;
    const Tensor dx = Tensor::empty(DType::f32, logits.shape());
    const Tensor losses = Tensor::empty(DType::f32, {logits.dim(0)});
    const double scale = supervised == 0 ? 0.0 : 1.0 / static_cast<double>(supervised);
    const double sum =
        ops::head_cross_entropy(logits, identity, narrow, scale, arena, dx, Tensor(), losses);
    // float32 exponentials and a logarithm: a few ulp of the largest logit (up to 4e3: 2.4e-4)
    const float* input = logits.data<float>();
    double largest = 1;
    for (std::int64_t i = 0; i < logits.numel(); ++i)
      largest = std::max(largest, std::abs(double{input[i]}));
    const double ulps = 4 * 1.2e-7 * largest;
    EXPECT_TRUE(is_close(sum, row.at("sum").as_number(), 5 * ulps, 1e-6)) << name;
    EXPECT_TRUE(all_close(losses, file.tensor(name + ".per_row"), ulps, 1e-6)) << name;
    if (supervised == 0) {
      EXPECT_EQ(sum, 0.0);  // torch's mean is 0/0 there; the trainer leaves such rows out
      continue;
    }
    EXPECT_TRUE(is_close(sum * scale, row.at("mean_f64").as_number(), ulps, 1e-6)) << name;
    EXPECT_TRUE(all_close(dx, file.tensor(name + ".grad_of_mean"), 1e-6)) << name;
  }
}

// Computed in double precision on both sides: 1e-15 relative, where a rate is not zero.
TEST(GoldenSchedules, EveryTable) {
  const Json file = Json::read(golden("train/schedules.json"));
  std::size_t tables = 0;
  for (const Json& table : file.at("tables").as_array()) {
    const LrScheduler kind = lr_scheduler_from(table.at("kind").as_string());
    const auto& rates = table.at("lr").as_array();
    for (std::size_t s = 0; s < rates.size(); ++s) {
      const double rate =
          table.at("base_lr").as_number() * lr_factor(kind, static_cast<std::int64_t>(s),
                                                      table.at("warmup").as_integer(),
                                                      table.at("total").as_integer());
      // a cosine near its end is a difference of nearly equal numbers: absolute there
      EXPECT_TRUE(
          is_close(rate, rates[s].as_number(), 1e-15 * table.at("base_lr").as_number(), 1e-15))
          << table.at("kind").as_string() << " step " << s;
    }
    ++tables;
  }
  EXPECT_GE(tables, 8u);
}

TEST(GoldenSchedules, WarmupIsRoundedUp) {
  const Json file = Json::read(golden("train/schedules.json"));
  const auto& rows = file.at("warmup").as_array();
  ASSERT_GE(rows.size(), 10u);
  for (const Json& row : rows) {
    EXPECT_EQ(warmup_steps(row.at("ratio").as_number(), row.at("total").as_integer()),
              row.at("warmup_steps").as_integer())
        << row.dump();
  }
}

TEST(GoldenSchedules, DefaultsOfTrainingArguments) {
  const Json defaults =
      Json::read(golden("train/schedules.json")).at("training_arguments_defaults");
  const TrainingArguments ours;
  const auto theirs = [&](const char* name) { return std::stod(defaults.at(name).as_string()); };
  EXPECT_EQ(ours.learning_rate, theirs("learning_rate"));
  EXPECT_EQ(ours.weight_decay, theirs("weight_decay"));
  EXPECT_EQ(ours.adam_beta1, theirs("adam_beta1"));
  EXPECT_EQ(ours.adam_beta2, theirs("adam_beta2"));
  EXPECT_EQ(ours.adam_epsilon, theirs("adam_epsilon"));
  EXPECT_EQ(ours.max_grad_norm, theirs("max_grad_norm"));
  EXPECT_EQ(ours.warmup_steps, theirs("warmup_steps"));
  EXPECT_EQ(ours.num_train_epochs, theirs("num_train_epochs"));
  EXPECT_EQ(ours.per_device_train_batch_size, theirs("per_device_train_batch_size"));
}

}  // namespace
}  // namespace qlora
