// The floor of a step against the accounting that was made by hand for published shapes.
#include <gtest/gtest.h>

#include <algorithm>

#include "llama/load.h"
#include "support/matcher.h"
#include "support/shape_3b.h"
#include "training/step_floor.h"

namespace qlora {
namespace {

using testing::is_close;
using testing::shape_3b;

DeviceRates h100() {
  return gpu_rates("NVIDIA H100 80GB HBM3", DType::bf16).value_or(DeviceRates{});
}

double amount(const std::vector<StepCost>& costs, const std::string& name) {
  const auto found = std::ranges::find(costs, name, &StepCost::name);
  if (found != costs.end()) return found->amount;
  ADD_FAILURE() << "no part is called " << name;
  return 0;
}

double tokens_per_second(const TrainingShape& s) {
  return static_cast<double>(s.rows()) / step_floor(step_costs(s), h100());
}

TEST(StepFloor, FlopsAndBytesOfThe3bShape) {
  const auto costs = step_costs(shape_3b());
  // Written out for 8,192 tokens and given with two decimals in units of 1e12 (FLOPs) or one to
  // two in units of 1e9 (bytes): half a unit of the last place.
  const auto tera = [&](const char* name) { return amount(costs, name) / 1e12; };
  const auto giga = [&](const char* name) { return amount(costs, name) / 1e9; };
  EXPECT_TRUE(is_close(tera("base linears, forward"), 46.18, 0.005));
  EXPECT_TRUE(is_close(tera("base linears, dX"), 46.18, 0.005));
  EXPECT_TRUE(is_close(tera("head, forward and dX"), 2 * 6.46, 2 * 0.005));
  EXPECT_TRUE(is_close(tera("attention, forward"), 2.89, 0.005));
  EXPECT_TRUE(is_close(tera("attention, backward"), 7.22, 0.005));
  EXPECT_TRUE(is_close(tera("LoRA's products"), 0.40 + 0.80, 0.01));
  EXPECT_TRUE(is_close(flops_of(costs) / 1e12, 116.57, 0.03));
  EXPECT_TRUE(is_close(giga("dequantization, two passes"), 2 * 7.09, 2 * 0.005));
  EXPECT_TRUE(is_close(giga("norms, RoPE, SwiGLU, forward"), 26.3, 0.05));
  EXPECT_TRUE(is_close(giga("norms, RoPE, SwiGLU, backward"), 37.6, 0.05));
  EXPECT_TRUE(is_close(giga("LoRA's inputs and gradients, read"), 8.0 + 20.7, 0.1));
  EXPECT_TRUE(is_close(giga("cross-entropy"), 6.3, 0.05));
  EXPECT_TRUE(is_close(giga("AdamW"), 0.68, 0.005));
}

TEST(StepFloor, TokensASecondOfThe3bShapeAtMeasuredRates) {
  // Published to the next hundred, which is the tolerance: one half of it.
  EXPECT_TRUE(is_close(tokens_per_second(shape_3b()), 38800, 50));
  EXPECT_TRUE(is_close(tokens_per_second(shape_3b(ActivationPolicy::lean)), 31400, 50));
  EXPECT_TRUE(is_close(tokens_per_second(shape_3b(ActivationPolicy::checkpoint)), 27800, 50));
  // 725 TFLOP/s were measured with 8,192 rows; with 2,048 the products' tiles fill the card less
  // well, and "about 35,300" counts that. One rate for both is up to 3 % too fast there.
  TrainingShape one_row = shape_3b();
  one_row.B = 1;
  EXPECT_TRUE(is_close(tokens_per_second(one_row), 35300, 0, 0.03));
}

TEST(StepFloor, WhatIsComputedAgain) {
  const auto flops = [](ActivationPolicy policy) { return flops_of(step_costs(shape_3b(policy))); };
  const double keep = flops(ActivationPolicy::keep);
  EXPECT_TRUE(is_close((flops(ActivationPolicy::lean) - keep) / 1e12, 30.6, 0.05));
  EXPECT_TRUE(is_close((flops(ActivationPolicy::checkpoint) - keep) / 1e12, 49.5, 0.05));
  EXPECT_EQ(flops(ActivationPolicy::offload), flops(ActivationPolicy::checkpoint));
}

// r=8 on all linears, float32 on the CPU.
double gigaflops(LlamaConfig config, std::int64_t B, std::int64_t T) {
  TrainingShape s;
  s.config = std::move(config);
  s.lora.target_modules = std::string("all-linear");
  s.B = B;
  s.T = T;
  s.arithmetic = DType::f32;
  s.device = Device::cpu;
  return flops_of(step_costs(s)) / 1e9;
}

LlamaConfig decoder(std::int64_t C, std::int64_t L, std::int64_t H, std::int64_t K, std::int64_t F,
                    std::int64_t V) {
  LlamaConfig c;
  c.hidden_size = C;
  c.num_hidden_layers = L;
  c.num_attention_heads = H;
  c.num_key_value_heads = K;
  c.head_dim = C / H;
  c.intermediate_size = F;
  c.vocab_size = V;
  c.tie_word_embeddings = true;
  return c;
}

TEST(StepFloor, FlopsOfSmallModels) {
  // Published with three digits.
  EXPECT_TRUE(is_close(gigaflops(decoder(256, 4, 4, 2, 768, 512), 4, 128), 7.66, 0.005));
  EXPECT_TRUE(is_close(gigaflops(decoder(288, 6, 6, 6, 768, 32000), 4, 256), 67.0, 0.05));
  EXPECT_TRUE(is_close(gigaflops(decoder(512, 8, 8, 8, 1376, 32000), 4, 256), 182, 0.5));
  EXPECT_TRUE(is_close(gigaflops(named_config("llama-3.2-1b"), 1, 128), 641, 0.5));
}

TEST(StepFloor, OnTheCpuArithmeticAlone) {
  TrainingShape s;
  s.config = decoder(256, 4, 4, 2, 768, 512);
  s.lora.target_modules = std::string("all-linear");
  s.B = 4;
  s.T = 128;
  s.arithmetic = DType::f32;
  s.device = Device::cpu;
  const double seconds = step_floor(step_costs(s), cpu_rates(2).value_or(DeviceRates{}));
  EXPECT_TRUE(is_close(seconds * 1e3, 33, 0.5));  // milliseconds, published as a whole number
  EXPECT_LT(seconds, step_floor(step_costs(s), cpu_rates(1).value_or(DeviceRates{})));
}

TEST(StepFloor, RatesAreThoseOfWhatWasMeasured) {
  EXPECT_FALSE(gpu_rates("NVIDIA A100-SXM4-80GB", DType::bf16));
  EXPECT_FALSE(gpu_rates("NVIDIA H100 80GB HBM3", DType::f32));
  EXPECT_TRUE(gpu_rates("NVIDIA H100 80GB HBM3", DType::f16));
  EXPECT_FALSE(cpu_rates(64));
}

TEST(StepFloor, ADenseBaseIsNotDequantizedAndFewerLabelsCostLess) {
  TrainingShape s = shape_3b();
  s.base = BaseFormat::dense;
  for (const StepCost& cost : step_costs(s)) {
    EXPECT_EQ(cost.name.find("dequantization"), std::string::npos);
  }
  const double all = amount(step_costs(s), "head, forward and dX");
  s.supervised = s.rows() / 4;
  EXPECT_DOUBLE_EQ(amount(step_costs(s), "head, forward and dX"), all / 4);
}

TEST(StepFloor, FewerAdaptersReadLess) {
  TrainingShape s = shape_3b();
  const double all = amount(step_costs(s), "LoRA's inputs and gradients, read");
  s.lora.target_modules = std::vector<std::string>{"q_proj", "v_proj"};
  // h1 twice, dq and dv: 2·3072 + 3072 + 1024 columns, against 2·17,408 + 27,648
  EXPECT_DOUBLE_EQ(amount(step_costs(s), "LoRA's inputs and gradients, read"), all * 10240 / 62464);
}

}  // namespace
}  // namespace qlora
