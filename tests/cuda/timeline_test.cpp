// Where the time of a step goes: its parts are told, and are not longer than the step.
#include <gtest/gtest.h>

#include <numeric>

#include "cuda/twin.h"
#include "ops/ops.h"
#include "ops/timeline.h"
#include "training/small_run.h"

namespace qlora {
namespace {

using namespace testing;
using ops::Part;

std::vector<StepReport> steps_of(Device device, bool timeline) {
  SmallRun run(false);
  if (device == Device::cuda) run.model = placed({Device::cuda, DType::f32}, run.model);
  TrainingTask task = run.task();
  task.timeline = timeline;
  TrainingEvents events;
  std::vector<StepReport> steps;
  events.on_step = [&](const StepReport& r) { steps.push_back(r); };
  train(task, events);
  return steps;
}

// The parts of a step of QLoRA in NF4 without dropout, each once and in their order. Events have a
// resolution of about half a microsecond, and a sum of them is exact: only the clocks of GPU and
// host differ, by far less than a thousandth.
TEST(CudaTimeline, TellsTheStepsPartsWithinItsTime) {
  SKIP_WITHOUT_GPU();
  const std::vector<StepReport> steps = steps_of(Device::cuda, true);
  ASSERT_EQ(steps.size(), 9u);
  for (const StepReport& step : steps) {
    double sum = 0;
    std::vector<Part> parts;
    for (const ops::PartTime& time : step.parts) {
      EXPECT_GT(time.seconds, 0) << name_of(time.part);
      EXPECT_FALSE(name_of(time.part).empty());
      sum += time.seconds;
      parts.push_back(time.part);
    }
    EXPECT_LE(sum, 1.001 * step.seconds);
    EXPECT_EQ(parts,
              (std::vector{Part::products, Part::dequantize, Part::lora, Part::attention_forward,
                           Part::attention_backward, Part::element_wise, Part::head_products,
                           Part::cross_entropy, Part::optimizer, Part::copies}));
  }
}

// A product within the loss is the head's alone: what lies within another part counts once.
TEST(CudaTimeline, TheInnermostPartHasTheTime) {
  SKIP_WITHOUT_GPU();
  Arena arena = ops::arena_on(Device::cuda);
  const Tensor x = ops::on(Device::cuda, random_tensor(DType::f32, {64, 128}, 1, 1.0f));
  const Tensor head = ops::on(Device::cuda, random_tensor(DType::f32, {512, 128}, 2, 1.0f));
  const Tensor sum = ops::empty_on(Device::cuda, DType::f64, {1});
  ops::fill_bytes(sum, 0);
  std::vector<std::int32_t> numbers(64);
  std::iota(numbers.begin(), numbers.end(), 0);
  const Tensor there = ops::on(Device::cuda, Tensor::from<std::int32_t>(numbers, {64}));
  ops::start_timeline();
  ops::head_cross_entropy(x, head, {there, there}, 1.0, arena, {sum, Tensor(), Tensor(), Tensor()});
  const std::vector<ops::PartTime> parts = ops::take_timeline();
  ASSERT_EQ(parts.size(), 2u);
  EXPECT_EQ(parts[0].part, Part::head_products);
  EXPECT_EQ(parts[1].part, Part::cross_entropy);
}

TEST(CudaTimeline, IsEmptyUnlessItWasStarted) {
  SKIP_WITHOUT_GPU();
  for (const StepReport& step : steps_of(Device::cuda, false)) EXPECT_TRUE(step.parts.empty());
  EXPECT_TRUE(ops::take_timeline().empty());
}

TEST(CudaTimeline, OnTheCpuThereIsNothingToTell) {
  for (const StepReport& step : steps_of(Device::cpu, true)) EXPECT_TRUE(step.parts.empty());
}

}  // namespace
}  // namespace qlora
