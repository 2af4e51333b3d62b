// The whole decoder and trainer on the GPU beside the CPU: losses, gradients, policies, a run and
// its resuming.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "cuda/twin.h"
#include "llama/decoder.h"
#include "text/batch.h"
#include "training/small_run.h"

namespace qlora {
namespace {

using namespace testing;

constexpr std::array kPolicies{ActivationPolicy::keep, ActivationPolicy::lean,
                               ActivationPolicy::checkpoint, ActivationPolicy::offload};

// A model in NF4 with adapters whose B is not zero.
LlamaModel tuned_model(double dropout) {
  SmallRun run(dropout > 0);
  std::uint64_t stream = 50;
  for (const Parameter& p : adapter_parameters(run.model)) {
    ops::copy(random_tensor(DType::f32, p.value.shape(), stream++, 0.05f), p.value);
  }
  run.model.reserve_positions(64);
  return run.model;
}

Batch batch_of_rows(std::int64_t count) {
  static const std::vector<TokenizedExample> data = rows(count);
  std::vector<std::int64_t> all(data.size());
  std::iota(all.begin(), all.end(), 0);
  return collate(data, all, 0);
}

struct Pass {
  double loss = 0;
  std::vector<Tensor> gradients;  // on the host
};

Pass pass_of(const LlamaModel& model, const DropoutRun& run, ActivationPolicy policy) {
  Pass pass;
  const Batch batch = batch_of_rows(7);
  const double scale = 1.0 / static_cast<double>(batch.supervised);
  for (const Parameter& p : adapter_parameters(model)) ops::fill_bytes(p.grad, 0);
  Arena arena = ops::arena_on(model.device());
  pass.loss = scale * loss_backward(model, batch, {run, policy, scale}, arena);
  for (const Parameter& p : adapter_parameters(model)) {
    pass.gradients.push_back(ops::host_copy(p.grad));
  }
  return pass;
}

// ‖a − b‖ / ‖b‖ over all gradients; infinite where one is not a number.
double distance(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    for (std::int64_t j = 0; j < a[i].numel(); ++j) {
      const double x = a[i].data<float>()[j], y = b[i].data<float>()[j];
      difference += (x - y) * (x - y);
      norm += y * y;
    }
  }
  return std::isfinite(difference) ? std::sqrt(difference / norm) : HUGE_VAL;
}

// float32 on both sides: sums of a few hundred terms in another order, through 2 layers. 16-bit:
// each of the some 30 roundings between a weight and the loss adds u of a tensor's size, as a
// random walk sqrt(30) u, and a factor of 4 for what follows a rounding.
TEST(CudaDecoder, LossAndGradientsAreTheCpus) {
  SKIP_WITHOUT_GPU();
  for (const double dropout : {0.0, 0.1}) {
    const LlamaModel host = tuned_model(dropout);
    const DropoutRun run{true, 3, 8};
    const Pass theirs = pass_of(host, run, ActivationPolicy::keep);
    for (const DType dtype : kDeviceTypes) {
      const double u = dtype == DType::f32 ? 1e-5 : 4 * std::sqrt(30.0) * unit_roundoff(dtype);
      const LlamaModel device = placed({Device::cuda, dtype}, host);
      const Pass ours = pass_of(device, run, ActivationPolicy::keep);
      EXPECT_NEAR(ours.loss, theirs.loss, u * theirs.loss) << python_name(dtype);
      EXPECT_LT(distance(ours.gradients, theirs.gradients), 10 * u) << python_name(dtype);
      for (const ActivationPolicy policy : kPolicies) {
        const Pass again = pass_of(device, run, policy);
        EXPECT_EQ(again.loss, ours.loss) << python_name(dtype);
        for (std::size_t i = 0; i < ours.gradients.size(); ++i) {
          EXPECT_TRUE(same_bytes(again.gradients[i], ours.gradients[i]))
              << python_name(dtype) << " policy " << static_cast<int>(policy) << " tensor " << i;
        }
      }
    }
  }
}

// Each of the first 50 losses of a float32 run within 1e-3 of the CPU's.
TEST(CudaTrainer, TheLossCurveIsTheCpus) {
  SKIP_WITHOUT_GPU();
  for (const bool dropout : {false, true}) {
    SmallRun host(dropout), device(dropout);
    device.model = placed({Device::cuda, DType::f32}, device.model);
    host.arguments.max_steps = device.arguments.max_steps = 50;
    host.arguments.learning_rate = device.arguments.learning_rate = 2e-3;
    const std::vector<double> theirs = losses_of(host), ours = losses_of(device);
    ASSERT_EQ(ours.size(), theirs.size());
    for (std::size_t i = 0; i < ours.size(); ++i) {
      EXPECT_NEAR(ours[i], theirs[i], 1e-3 * theirs[i]) << "step " << i + 1;
    }
  }
}

// A run that is cut in two gives the bits of the whole, in every arithmetic; float16 learns too,
// through its loss scaling.
TEST(CudaTrainer, ResumesBitForBit) {
  SKIP_WITHOUT_GPU();
  for (const DType dtype : kDeviceTypes) {
    SmallRun whole;
    whole.model = placed({Device::cuda, dtype}, whole.model);
    const std::vector<double> expected = losses_of(whole);
    EXPECT_LT(expected.back(), expected.front()) << python_name(dtype);
    const std::string folder = (scratch() / std::string(python_name(dtype))).string();
    SmallRun first, second;
    first.model = placed({Device::cuda, dtype}, first.model);
    second.model = placed({Device::cuda, dtype}, second.model);
    std::vector<double> losses = losses_of(first, folder, std::nullopt, 4);
    ASSERT_EQ(losses.size(), 4u);
    for (double loss : losses_of(second, folder, newest_checkpoint(folder))) losses.push_back(loss);
    EXPECT_EQ(losses, expected) << python_name(dtype);
    expect_equal_adapters(second.model, whole.model);
  }
}

}  // namespace
}  // namespace qlora
