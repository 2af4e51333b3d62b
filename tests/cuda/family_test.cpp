// Gemma's decoder on the GPU beside the CPU: its norms, gate, scaled embedding and heads of 256.
#include <cmath>

#include "cuda/twin.h"
#include "llama/adapters.h"
#include "llama/decoder.h"
#include "llama/placement.h"
#include "support/gemma_shape.h"
#include "support/matcher.h"

namespace qlora {
namespace {

using namespace testing;

constexpr std::int64_t kRows = 2, kLength = 33;

// NF4 with adapters whose B is not zero, and norms whose weights are not zero either.
LlamaModel gemma() {
  LlamaModel model = random_model(gemma_shape(), 7);
  std::uint64_t stream = 20;
  for (const DecoderLayer& layer : model.layers) {
    for (const Tensor& norm : {layer.input_layernorm, layer.post_attention_layernorm}) {
      ops::copy(random_tensor(DType::f32, norm.shape(), stream++, 0.2f), norm);
    }
  }
  quantize_base(model, QuantType::nf4, true, DType::bf16);
  LoraConfig lora;
  lora.r = 8;
  lora.target_modules = std::string("all-linear");
  for (const Parameter& p : attach_lora(model, lora, 3)) {
    ops::copy(random_tensor(DType::f32, p.value.shape(), stream++, 0.05f), p.value);
  }
  model.reserve_positions(kLength);
  return model;
}

// The second row is padded: attention runs on this project's own kernels.
Batch some_batch() {
  Batch batch;
  const Shape shape{kRows, kLength};
  batch.input_ids = Tensor::empty(DType::i32, shape);
  batch.attention_mask = Tensor::empty(DType::i32, shape);
  batch.labels = Tensor::empty(DType::i32, shape);
  const Tensor values = random_tensor(DType::f32, shape, 9, 1000.0f);
  for (std::int64_t i = 0; i < values.numel(); ++i) {
    const bool there = i < kLength + kLength / 2;
    const auto id = static_cast<std::int32_t>(std::abs(values.data<float>()[i])) % 512;
    batch.input_ids.data<std::int32_t>()[i] = id;
    batch.attention_mask.data<std::int32_t>()[i] = there ? 1 : 0;
    batch.labels.data<std::int32_t>()[i] = there ? id : -100;
    batch.tokens += there ? 1 : 0;
    batch.supervised += there && i % kLength > 0 ? 1 : 0;
  }
  return batch;
}

struct Pass {
  double loss = 0;
  std::vector<Tensor> gradients;  // on the host
};

Pass pass_of(const LlamaModel& model) {
  const Batch batch = some_batch();
  const double scale = 1.0 / static_cast<double>(batch.supervised);
  for (const Parameter& p : adapter_parameters(model)) ops::fill_bytes(p.grad, 0);
  Arena arena = ops::arena_on(model.device());
  Pass pass;
  pass.loss = scale * loss_backward(model, batch, {{}, ActivationPolicy::keep, scale}, arena);
  for (const Parameter& p : adapter_parameters(model)) {
    pass.gradients.push_back(ops::host_copy(p.grad));
  }
  return pass;
}

// The bounds of CudaDecoder.LossAndGradientsAreTheCpus, for as many layers and roundings. The scale
// of the embedding is rounded to 16 bits once more, which the norms behind it take back.
TEST(CudaFamilies, GemmasLossAndGradientsAreTheCpus) {
  SKIP_WITHOUT_GPU();
  const LlamaModel host = gemma();
  const Pass theirs = pass_of(host);
  for (const DType dtype : kDeviceTypes) {
    const double u = dtype == DType::f32 ? 1e-5 : 4 * std::sqrt(30.0) * unit_roundoff(dtype);
    const LlamaModel device = placed({Device::cuda, dtype}, host);
    const Pass ours = pass_of(device);
    EXPECT_NEAR(ours.loss, theirs.loss, u * theirs.loss) << python_name(dtype);
    double difference = 0, norm = 0;
    for (std::size_t i = 0; i < ours.gradients.size(); ++i) {
      for (std::int64_t j = 0; j < ours.gradients[i].numel(); ++j) {
        const double x = ours.gradients[i].data<float>()[j];
        const double y = theirs.gradients[i].data<float>()[j];
        difference += (x - y) * (x - y);
        norm += y * y;
      }
    }
    EXPECT_TRUE(std::isfinite(difference)) << python_name(dtype);
    EXPECT_LT(std::sqrt(difference / norm), 10 * u) << python_name(dtype);
    const Pass again = pass_of(device);
    EXPECT_EQ(again.loss, ours.loss) << python_name(dtype);
    for (std::size_t i = 0; i < ours.gradients.size(); ++i) {
      EXPECT_TRUE(same_bytes(again.gradients[i], ours.gradients[i])) << python_name(dtype);
    }
  }
}

}  // namespace
}  // namespace qlora
