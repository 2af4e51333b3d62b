// The plan of a run's memory against what a run on the CPU really takes, to the byte.
#include <gtest/gtest.h>

#include <algorithm>
#include <tuple>

#include "llama/adapters.h"
#include "llama/decoder.h"
#include "llama/memory_plan.h"
#include "support/gemma_shape.h"

namespace qlora {
namespace {

constexpr std::size_t kArena = std::size_t{256} << 20;

LlamaConfig llama() {
  LlamaConfig c;
  c.hidden_size = 192;
  c.num_hidden_layers = 3;
  c.num_attention_heads = 6;
  c.num_key_value_heads = 2;
  c.head_dim = 32;
  c.intermediate_size = 512;
  c.vocab_size = 512;
  c.tie_word_embeddings = true;
  return c;
}

struct Base {
  LlamaConfig config;
  BaseFormat format = BaseFormat::dense;
  bool dropout = false, dora = false;
};

TrainingShape small_shape(const Base& base, std::int64_t B, std::int64_t T) {
  TrainingShape s;
  s.config = base.config;
  s.base = base.format;
  s.double_quant = base.format == BaseFormat::nf4;
  s.lora.r = 24;
  s.lora.lora_dropout = base.dropout ? 0.1 : 0.0;
  s.lora.use_dora = base.dora;
  s.lora.target_modules = std::string("all-linear");
  s.lora.rank_pattern = {{"o_proj", 7}};
  s.arithmetic = DType::f32;
  s.device = Device::cpu;
  s.B = B;
  s.T = T;
  return s;
}

LlamaModel model_of(const TrainingShape& s) {
  LlamaModel model = random_model(s.config, 1);
  if (s.base == BaseFormat::int8) quantize_base_int8(model);
  if (s.base == BaseFormat::nf4) quantize_base(model, QuantType::nf4, s.double_quant, DType::bf16);
  if (s.base == BaseFormat::fp4) quantize_base(model, QuantType::fp4, s.double_quant, DType::bf16);
  attach_lora(model, s.lora, 3);
  model.reserve_positions(s.T);
  return model;
}

Batch batch_of(const TrainingShape& s) {
  Batch batch;
  batch.input_ids = Tensor::zeros(DType::i32, {s.B, s.T});
  batch.attention_mask = Tensor::zeros(DType::i32, {s.B, s.T});
  for (std::int32_t& mask : batch.attention_mask.span<std::int32_t>()) mask = 1;
  batch.labels = Tensor::zeros(DType::i32, {s.B, s.T});
  batch.tokens = s.rows();
  batch.supervised = s.B * (s.T - 1);
  return batch;
}

std::int64_t tensor_bytes(const LlamaModel& model) {
  std::size_t sum = model.rope_cos.nbytes() + model.rope_sin.nbytes();
  for (const auto& [name, weight] : dense_weights(model)) sum += weight.nbytes();
  model.for_each_projection([&](const LinearGroup&, const Projection& p) {
    if (p.quantized) sum += p.quantized->nbytes();
    if (p.int8) sum += p.int8->nbytes();
  });
  for (const Parameter& p : adapter_parameters(model)) {
    sum += p.value.nbytes() + p.grad.nbytes() + 2 * p.value.nbytes();
  }
  return static_cast<std::int64_t>(sum);
}

class MemoryOfARun
    : public ::testing::TestWithParam<std::tuple<LlamaConfig, BaseFormat, bool, bool>> {
 protected:
  static Base base() {
    const auto& [config, format, dropout, dora] = GetParam();
    return {config, format, dropout, dora};
  }
};

TEST_P(MemoryOfARun, ResidentPartsAreTheTensors) {
  const TrainingShape s = small_shape(base(), 2, 16);
  const MemoryPlan plan = training_memory(s);
  const auto batch = std::ranges::find(plan.parts, "batch", &MemoryPart::name);
  ASSERT_NE(batch, plan.parts.end());
  EXPECT_EQ(plan.resident - batch->bytes, tensor_bytes(model_of(s)));
}

// An arena of one block, whose peak counts nothing but what was taken.
std::int64_t measured_arena(const LlamaModel& model, const TrainingShape& s) {
  Arena arena;
  arena.reserve(kArena);
  const TrainingPass pass{{true, 1, 0}, s.activations, 1.0 / static_cast<double>(s.rows())};
  const Tensor sum = Tensor::zeros(DType::f64, {1});
  loss_backward(model, batch_of(s), pass, arena, sum);
  return static_cast<std::int64_t>(arena.peak_bytes());
}

TEST_P(MemoryOfARun, TheArenaTakesWhatThePlanSays) {
  const LlamaModel model = model_of(small_shape(base(), 1, 128));
  for (const auto& [B, T] : {std::pair{4, 96}, {3, 50}, {1, 32}}) {
    TrainingShape s = small_shape(base(), B, T);
    s.supervised = s.B * (s.T - 1);
    for (const ActivationPolicy policy :
         {ActivationPolicy::keep, ActivationPolicy::lean, ActivationPolicy::checkpoint}) {
      s.activations = policy;
      const MemoryPlan plan = training_memory(s);
      EXPECT_EQ(plan.arena, measured_arena(model, s))
          << B << " x " << T << " " << to_string(policy) << ", the most at " << plan.moment;
    }
  }
}

std::string name_of(const ::testing::TestParamInfo<MemoryOfARun::ParamType>& info) {
  return std::get<0>(info.param).model_type + "_" + to_string(std::get<1>(info.param), DType::f32) +
         (std::get<2>(info.param) ? "_dropout" : "") + (std::get<3>(info.param) ? "_dora" : "");
}

INSTANTIATE_TEST_SUITE_P(OnTheCpu, MemoryOfARun,
                         ::testing::Combine(::testing::Values(llama(), testing::gemma_shape()),
                                            ::testing::Values(BaseFormat::dense, BaseFormat::nf4,
                                                              BaseFormat::fp4, BaseFormat::int8),
                                            ::testing::Bool(), ::testing::Bool()),
                         name_of);

}  // namespace
}  // namespace qlora
