// Saved adapters combined: what PEFT 0.21 wrote, and what does not go together.
#include "checkpoint/combine_adapters.h"

#include <gtest/gtest.h>

#include "checkpoint/files.h"
#include "support/golden.h"
#include "support/matcher.h"

namespace qlora {
namespace {

using testing::close_to_largest;
using testing::golden;
using testing::scratch;

PeftAdapter variant(const std::string& name) {
  return read_adapter(golden("variants/" + name));
}

void expect_combined(Combination combination, const std::string& mix) {
  const std::vector<PeftAdapter> adapters{variant("multi/first"), variant("multi/third")};
  const PeftAdapter ours = combine_adapters(adapters, std::vector{0.7, 0.4}, combination);
  const PeftAdapter theirs = variant("multi/" + mix);
  EXPECT_EQ(ours.config.r, theirs.config.r);
  EXPECT_EQ(ours.config.lora_alpha, theirs.config.lora_alpha);
  EXPECT_EQ(lora_config_to_json(ours.config).dump(2, true),
            lora_config_to_json(theirs.config).dump(2, true));
  ASSERT_EQ(ours.modules.size(), theirs.modules.size());
  for (std::size_t i = 0; i < ours.modules.size(); ++i) {
    EXPECT_EQ(ours.modules[i].module, theirs.modules[i].module);
    // two products and a sum in float32, perhaps in another order
    EXPECT_TRUE(close_to_largest(ours.modules[i].A, theirs.modules[i].A, 4 * 0x1p-24));
    EXPECT_TRUE(close_to_largest(ours.modules[i].B, theirs.modules[i].B, 4 * 0x1p-24));
  }
}

TEST(CombineAdapters, LinearIsPefts) {
  expect_combined(Combination::linear, "mix_linear");
}
TEST(CombineAdapters, CatIsPefts) {
  expect_combined(Combination::cat, "mix_cat");
}

TEST(CombineAdapters, ModulesOfAnyAndRanksOfAll) {
  const std::vector<PeftAdapter> adapters{variant("multi/first"), variant("multi/second")};
  const PeftAdapter cat = combine_adapters(adapters, std::vector{1.0, 1.0}, Combination::cat);
  EXPECT_EQ(cat.config.r, adapters[0].config.r + adapters[1].config.r);
  EXPECT_EQ(cat.modules.size(), adapters[0].modules.size());
  for (const LoraModule& m : cat.modules) EXPECT_EQ(m.A.dim(0), cat.config.r) << m.module;
  const PeftAdapter svd = combine_adapters(adapters, std::vector{1.0, 1.0}, Combination::svd);
  EXPECT_EQ(svd.config.r, std::max(adapters[0].config.r, adapters[1].config.r));
  // What is written is read again: ranks, target modules and tensors agree.
  const std::string folder = (scratch() / "combined").string();
  write_adapter(folder, cat);
  EXPECT_EQ(read_adapter(folder).modules.size(), cat.modules.size());
}

TEST(CombineAdapters, AllLinearGoesWithAList) {
  std::vector<PeftAdapter> adapters{variant("multi/first"), variant("multi/third")};
  const PeftAdapter lists = combine_adapters(adapters, std::vector{1.0, 1.0}, Combination::cat);
  adapters[0].config.target_modules = std::string("all-linear");
  const PeftAdapter ours = combine_adapters(adapters, std::vector{1.0, 1.0}, Combination::cat);
  EXPECT_EQ(ours.config.target_modules, lists.config.target_modules);
}

TEST(CombineAdapters, ScalingOfRankStabilizedOnesIsOne) {
  const std::vector<PeftAdapter> adapters{variant("rslora")};
  const PeftAdapter one = combine_adapters(adapters, std::vector{1.0}, Combination::svd);
  EXPECT_FALSE(one.config.use_rslora);
  EXPECT_EQ(scaling_of(one.config, one.modules[0].module), 1.0);
}

TEST(CombineAdapters, RefusesWhatDoesNotGoTogether) {
  const PeftAdapter first = variant("multi/first");
  const auto refused = [&](PeftAdapter other, Combination combination) {
    other.path = "other";
    const std::vector<PeftAdapter> two{first, std::move(other)};
    combine_adapters(two, std::vector{1.0, 1.0}, combination);
  };
  EXPECT_BAD_INPUT(refused(variant("multi/second"), Combination::linear),
                   "other/adapter_config.json: r: is ");
  EXPECT_BAD_INPUT(refused(variant("dora"), Combination::cat), "use_dora: an adapter of DoRA");
  PeftAdapter other = variant("multi/third");
  other.config.base_model_name_or_path = "another";
  EXPECT_BAD_INPUT(refused(other, Combination::cat), "base_model_name_or_path: is another, but ");
  other = variant("multi/third");
  other.config.target_modules = std::string(".*_proj");
  EXPECT_BAD_INPUT(refused(other, Combination::cat), "target_modules: is a list beside a pattern");
  other = variant("multi/third");
  other.config.layers_to_transform = std::vector<std::int64_t>{1};
  EXPECT_BAD_INPUT(refused(other, Combination::cat), "layers_to_transform: names other layers");
  other = variant("multi/third");
  other.config.exclude_modules = std::vector<std::string>{"k_proj"};
  EXPECT_BAD_INPUT(refused(other, Combination::cat), "exclude_modules: names other modules");
  other = variant("multi/third");
  other.modules[0].A = Tensor::zeros(DType::f32, {other.config.r, 5});
  EXPECT_BAD_INPUT(refused(other, Combination::cat), "in another adapter");
  const std::vector<PeftAdapter> two{first, first};
  EXPECT_THROW(combine_adapters(two, std::vector{1.0}, Combination::cat), UsageError);
  EXPECT_THROW(combine_adapters({}, {}, Combination::cat), UsageError);
}

}  // namespace
}  // namespace qlora
