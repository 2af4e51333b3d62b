// Counting parameters: against adapters that are really made, and lines that PEFT prints.
#include "lora/counting.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "support/matcher.h"

namespace qlora {
namespace {

using Names = std::vector<std::string>;
using testing::is_close;

// A layer of Llama 3.2 3B.
std::vector<LinearShape> layer() {
  return {{"self_attn.q_proj", 3072, 3072}, {"self_attn.k_proj", 3072, 1024},
          {"self_attn.v_proj", 3072, 1024}, {"self_attn.o_proj", 3072, 3072},
          {"mlp.gate_proj", 3072, 8192},    {"mlp.up_proj", 3072, 8192},
          {"mlp.down_proj", 8192, 3072}};
}

LoraConfig config(std::int64_t r, NamesOrPattern targets) {
  LoraConfig c;
  c.r = r;
  c.target_modules = std::move(targets);
  return c;
}

std::int64_t counted(const LoraConfig& c, std::int64_t layers = 28) {
  return lora_parameters(adapter_shapes(c, stacked(layer(), layers)));
}

TEST(Counting, OneLinearMap) {
  const LinearShape k{"k_proj", 3072, 1024};
  EXPECT_EQ(dense_parameters(k), 3'145'728);
  EXPECT_EQ(lora_parameters(k, 32), 131'072);  // A is 32 x 3072, B is 1024 x 32
  EXPECT_EQ(lora_parameters(k, 1), 4096);
  EXPECT_EQ(lora_parameters({"change", 3, 3}, 1), 6);
  EXPECT_THROW(lora_parameters(k, 0), std::invalid_argument);
}

TEST(Counting, LinearInTheRank) {
  const LinearShape down{"down_proj", 8192, 3072};
  for (std::int64_t R : {1, 7, 11, 64, 300}) {
    EXPECT_EQ(lora_parameters(down, R), R * lora_parameters(down, 1)) << R;
  }
}

TEST(Counting, AtTheBreakEvenRankNothingIsSaved) {
  EXPECT_EQ(break_even_rank({"change", 3, 3}), 1.5);
  EXPECT_EQ(break_even_rank({"square", 4096, 4096}), 2048.0);
  const LinearShape k{"k_proj", 3072, 1024};
  EXPECT_EQ(break_even_rank(k), 768.0);
  EXPECT_EQ(lora_parameters(k, 768), dense_parameters(k));
  EXPECT_LT(lora_parameters(k, 767), dense_parameters(k));
}

TEST(Counting, LayersAreStackedUnderTheirNames) {
  const std::vector<LinearShape> all = stacked(layer(), 3);
  ASSERT_EQ(all.size(), 21u);
  EXPECT_EQ(all[0].name, "model.layers.0.self_attn.q_proj");
  EXPECT_EQ(all[8].name, "model.layers.1.self_attn.k_proj");
  EXPECT_EQ(all[20].name, "model.layers.2.mlp.down_proj");
  EXPECT_EQ(all[20].K, 8192);
  EXPECT_EQ(all[20].N, 3072);
  EXPECT_TRUE(stacked(layer(), 0).empty());
}

TEST(Counting, WholeDecoder) {
  // Llama 3.2 3B; untied, the head is a second embedding.
  EXPECT_EQ(decoder_parameters(layer(), 28, 3072, 128256, true), 3'212'749'824);
  EXPECT_EQ(decoder_parameters(layer(), 28, 3072, 128256, false), 3'212'749'824 + 3072 * 128256);
  // By hand: one map 2x3, one layer, C = 2, V = 5: 10 + (6 + 4) + 2.
  const std::vector<LinearShape> one{{"map", 2, 3}};
  EXPECT_EQ(decoder_parameters(one, 1, 2, 5, true), 22);
}

TEST(Counting, TargetModulesChooseTheAdapters) {
  EXPECT_EQ(counted(config(16, Names{"q_proj", "v_proj"})), 4'587'520);
  EXPECT_EQ(counted(config(32, Names{"q_proj", "k_proj", "v_proj", "o_proj"})), 18'350'080);
  EXPECT_EQ(counted(config(256, "all-linear")), 389'021'696);
  EXPECT_EQ(counted(LoraConfig{}), 2'293'760) << "PEFT's default: r 8 on q_proj and v_proj";
  EXPECT_EQ(counted(config(8, R"(model\.layers\.0\..*)")), 434'176) << "one layer of all";
  EXPECT_EQ(adapter_shapes(config(8, "all-linear"), stacked(layer(), 28)).size(), 196u);
}

TEST(Counting, AdaptersKeepTheirModule) {
  const auto adapters = adapter_shapes(config(4, Names{"up_proj"}), stacked(layer(), 2));
  ASSERT_EQ(adapters.size(), 2u);
  EXPECT_EQ(adapters[1].linear.name, "model.layers.1.mlp.up_proj");
  EXPECT_EQ(adapters[1].linear.N, 8192);
  EXPECT_EQ(adapters[1].R, 4);
}

TEST(Counting, RankPatternGivesAModuleItsOwnRank) {
  LoraConfig c = config(8, Names{"q_proj", "v_proj"});
  c.rank_pattern = {{"v_proj", 32}, {R"(layers\.0\.self_attn\.q_proj)", 1}};
  // q: one layer at rank 1, 27 at rank 8; v: all 28 at rank 32
  EXPECT_EQ(counted(c), 6144 + 27 * 8 * 6144 + 28 * 32 * 4096);
}

TEST(Counting, NoTargetIsAnError) {
  EXPECT_THROW(counted(config(8, Names{"lm_head"})), UsageError);
  EXPECT_THROW(counted(config(8, Names{})), UsageError);
}

TEST(Counting, AllParametersAreBaseAndAdapters) {
  const auto adapters = adapter_shapes(config(2, Names{"k_proj"}), stacked(layer(), 1));
  const TrainableParameters count = count_trainable(adapters, 1'000'000);
  EXPECT_EQ(count.trainable, 8192);
  EXPECT_EQ(count.all, 1'008'192);
  EXPECT_TRUE(is_close(trainable_percentage(count), 100.0 * 8192 / 1'008'192, 0.0, 1e-15));
}

TEST(Counting, TheLineIsPefts) {
  EXPECT_EQ(trainable_line({4'587'520, 3'217'337'344}),
            "trainable params: 4,587,520 || all params: 3,217,337,344 || trainable%: 0.1426");
  EXPECT_EQ(trainable_line({9'805'824, 2'515'978'240}),
            "trainable params: 9,805,824 || all params: 2,515,978,240 || trainable%: 0.3897");
  EXPECT_EQ(trainable_line({389'021'696, 3'601'771'520}),
            "trainable params: 389,021,696 || all params: 3,601,771,520 || trainable%: 10.8008");
  EXPECT_EQ(trainable_line({6, 999}),
            "trainable params: 6 || all params: 999 || trainable%: 0.6006");
  EXPECT_EQ(trainable_line({1000, 1'000'000}),
            "trainable params: 1,000 || all params: 1,000,000 || trainable%: 0.1000");
}

}  // namespace
}  // namespace qlora
