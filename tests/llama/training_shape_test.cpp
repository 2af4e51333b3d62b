// What training adds to a model, by shapes alone: adapters and the optimizer's moments.
#include "llama/training_shape.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "llama/load.h"

namespace qlora {
namespace {

using Names = std::vector<std::string>;

LoraConfig lora_of(std::int64_t r, NamesOrPattern targets) {
  LoraConfig lora;
  lora.r = r;
  lora.target_modules = std::move(targets);
  return lora;
}

const Names kAttention{"q_proj", "k_proj", "v_proj", "o_proj"};

TEST(GroupShape, AddsUpItsParts) {
  const GroupShape group{10, {7, 3, 4}, {}};
  EXPECT_EQ(group.N(), 14);
  EXPECT_EQ(group.weights(), 140);
  EXPECT_EQ((GroupShape{10, {}, {}}.N()), 0);
}

// A (R,K) and B (N,R) of each adapter: K is the group's, N the projection's own.
TEST(GroupShape, AdaptersHaveTheirOwnOutputsAndRanks) {
  const GroupShape group{10, {7, 3, 4}, {{7, 2}, {4, 5}}};
  EXPECT_EQ(group.adapter_parameters(), 2 * (10 + 7) + 5 * (10 + 4));
  EXPECT_EQ((GroupShape{10, {7}, {}}.adapter_parameters()), 0);
}

TEST(LayerShapes, GroupsOfALayer) {
  const auto layers = layer_shapes(named_config("llama-3.2-3b"), lora_of(16, "all-linear"));
  ASSERT_EQ(layers.size(), 28u);
  for (const LayerShape& layer : layers) {
    EXPECT_EQ(layer.qkv.K, 3072);
    EXPECT_EQ(layer.qkv.parts, (std::vector<std::int64_t>{3072, 1024, 1024}));
    EXPECT_EQ(layer.o.K, 3072);
    EXPECT_EQ(layer.o.parts, (std::vector<std::int64_t>{3072}));
    EXPECT_EQ(layer.gate_up.K, 3072);
    EXPECT_EQ(layer.gate_up.parts, (std::vector<std::int64_t>{8192, 8192}));
    EXPECT_EQ(layer.down.K, 8192);
    EXPECT_EQ(layer.down.parts, (std::vector<std::int64_t>{3072}));
    EXPECT_EQ(layer.qkv.adapters.size(), 3u);
    EXPECT_EQ(layer.down.adapters.size(), 1u);
  }
}

TEST(LayerShapes, TargetsAloneHaveAdapters) {
  const auto layers =
      layer_shapes(named_config("llama-3.2-3b"), lora_of(4, Names{"v_proj", "down_proj"}));
  const LayerShape& layer = layers.at(5);
  ASSERT_EQ(layer.qkv.adapters.size(), 1u);
  EXPECT_EQ(layer.qkv.adapters[0].N, 1024);
  EXPECT_EQ(layer.qkv.adapters[0].R, 4);
  EXPECT_EQ(layer.qkv.parts.size(), 3u) << "the base keeps all its parts";
  EXPECT_TRUE(layer.o.adapters.empty());
  EXPECT_TRUE(layer.gate_up.adapters.empty());
  EXPECT_EQ(layer.down.adapters.size(), 1u);
}

TEST(LayerShapes, RankPatternsGiveAModuleItsOwnRank) {
  LoraConfig lora = lora_of(8, kAttention);
  lora.rank_pattern = {{"layers.3.self_attn.q_proj", 32}};
  const auto layers = layer_shapes(named_config("llama-3.2-1b"), lora);
  EXPECT_EQ(layers.at(3).qkv.adapters.at(0).R, 32);
  EXPECT_EQ(layers.at(3).qkv.adapters.at(1).R, 8);
  EXPECT_EQ(layers.at(2).qkv.adapters.at(0).R, 8);
}

TEST(LayerShapes, NoTargetIsAnError) {
  EXPECT_THROW(layer_shapes(named_config("llama-3.2-1b"), lora_of(8, Names{"lm_head"})),
               UsageError);
}

// PEFT's print_trainable_parameters.
TEST(AdapterParameters, AreThoseOfPeft) {
  const LlamaConfig config = named_config("llama-3.2-3b");
  const auto of = [&](std::int64_t r, NamesOrPattern targets) {
    return adapter_parameters(layer_shapes(config, lora_of(r, std::move(targets))));
  };
  EXPECT_EQ(of(16, Names{"q_proj", "v_proj"}), 4587520);
  EXPECT_EQ(of(32, kAttention), 18350080);
  EXPECT_EQ(of(256, "all-linear"), 389021696);
}

TEST(MomentBytes, TwoFloatsAParameter) {
  const auto layers = layer_shapes(named_config("llama-3.2-3b"), lora_of(32, kAttention));
  EXPECT_EQ(moment_bytes({}, layers), 8 * 18350080);
}

// One layer with one adapter of two matrices; the two maps are 256 values of float32 each.
std::int64_t in_8bit(std::int64_t K, std::int64_t N, std::int64_t R) {
  TrainingShape shape;
  shape.moments_in_8bit = true;
  return moment_bytes(shape, {LayerShape{{K, {N}, {{N, R}}}, {}, {}, {}}}) - 2 * 1024;
}

TEST(MomentBytes, In8BitsEachBlockOf256HasAMaximum) {
  // A and B of 4,096 elements: a byte for each code of two moments, 16 blocks each.
  EXPECT_EQ(in_8bit(1024, 1024, 4), 2 * 2 * (4096 + 16 * 4));
  // 4,100 elements have a seventeenth block.
  EXPECT_EQ(in_8bit(1025, 1024, 4), 2 * (4100 + 17 * 4) + 2 * (4096 + 16 * 4));
}

TEST(MomentBytes, SmallMatricesStayInFloat) {
  EXPECT_EQ(in_8bit(1023, 1024, 4), 8 * 4092 + 2 * (4096 + 16 * 4));
  EXPECT_EQ(in_8bit(8, 8, 1), 8 * 16);
}

TEST(BaseFormat, IsCalledByItsName) {
  EXPECT_EQ(to_string(BaseFormat::nf4, DType::bf16), "nf4");
  EXPECT_EQ(to_string(BaseFormat::fp4, DType::bf16), "fp4");
  EXPECT_EQ(to_string(BaseFormat::int8, DType::f16), "int8");
  EXPECT_EQ(to_string(BaseFormat::dense, DType::bf16), "bfloat16");
  EXPECT_EQ(to_string(BaseFormat::dense, DType::f32), "float32");
}

}  // namespace
}  // namespace qlora
