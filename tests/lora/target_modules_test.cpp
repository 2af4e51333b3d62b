#include "lora/target_modules.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/error.h"

namespace qlora {
namespace {

using Names = std::vector<std::string>;

// The linear modules of a model of twelve layers, in the order of the state dict.
Names linear_modules() {
  Names names;
  for (int i = 0; i < 12; ++i) {
    const std::string layer = "model.layers." + std::to_string(i) + ".";
    for (const char* name : {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj",
                             "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"}) {
      names.push_back(layer + name);
    }
  }
  return names;
}

std::size_t count(const LoraConfig& config) {
  return find_target_modules(config, linear_modules()).size();
}

LoraConfig targets(NamesOrPattern wanted) {
  LoraConfig config;
  config.target_modules = std::move(wanted);
  return config;
}

TEST(MatchesWhole, IsFullmatch) {
  EXPECT_TRUE(matches_whole("a|ab", "ab"));
  EXPECT_TRUE(matches_whole(".*_proj", "q_proj"));
  EXPECT_FALSE(matches_whole("q", "q_proj"));
  EXPECT_FALSE(matches_whole("proj", "q_proj"));
  EXPECT_FALSE(matches_whole("q_proj", "q_proj\n"));
  EXPECT_TRUE(matches_whole("", ""));
  EXPECT_TRUE(matches_whole(R"(.*\.(?:0|1[01])\.mlp\.(up|gate)_proj)", "m.11.mlp.up_proj"));
  EXPECT_TRUE(matches_whole(R"((?!.*vision).*\d+\..*)", "model.layers.3.mlp"));
}

TEST(MatchesWhole, RefusesWhatIsNoPattern) {
  for (const char* bad : {"(", "*", "[a", R"(\)", "(?P<n"}) {
    EXPECT_THROW(matches_whole(bad, "x"), UsageError) << bad;
  }
  // Exponential backtracking ends in an error, not in a hang.
  EXPECT_THROW(matches_whole("(a+)+[bc]", std::string(64, 'a') + "d"), UsageError);
}

TEST(TargetModules, ListsMatchNamesAndEndings) {
  EXPECT_EQ(count(targets(Names{"q_proj"})), 12u);
  EXPECT_EQ(count(targets(Names{"self_attn.q_proj", "mlp.up_proj"})), 24u);
  EXPECT_EQ(count(targets(Names{"model.layers.3.self_attn.q_proj"})), 1u);
  EXPECT_EQ(count(targets(Names{"layers.1.self_attn.q_proj"})), 1u) << "not layer 11";
  EXPECT_THROW(count(targets(Names{"proj"})), UsageError) << "an ending begins at a dot";
  EXPECT_THROW(count(targets(Names{".*_proj"})), UsageError) << "a list holds no patterns";
  EXPECT_THROW(count(targets(Names{})), UsageError);
}

TEST(TargetModules, DefaultIsQueryAndValue) {
  EXPECT_EQ(count({}), 24u);
  EXPECT_EQ(short_names(find_target_modules({}, linear_modules())), (Names{"q_proj", "v_proj"}));
}

TEST(TargetModules, StringIsAPatternForTheWholeName) {
  EXPECT_EQ(count(targets(R"(.*\.self_attn\..*)")), 48u);
  EXPECT_EQ(count(targets(R"(model\.layers\.(0|11)\..*)")), 14u);
  EXPECT_THROW(count(targets("q_proj")), UsageError) << "it is the end of the name only";
  EXPECT_THROW(count(targets("(")), UsageError);
}

TEST(TargetModules, AsTheyAreTyped) {
  EXPECT_EQ(names_or_pattern("q_proj,v_proj"), NamesOrPattern(Names{"q_proj", "v_proj"}));
  EXPECT_EQ(names_or_pattern("q_proj"), NamesOrPattern(Names{"q_proj"}));
  EXPECT_EQ(names_or_pattern(",q_proj,,"), NamesOrPattern(Names{"q_proj"}));
  EXPECT_EQ(names_or_pattern(""), NamesOrPattern(Names{}));
  EXPECT_EQ(names_or_pattern("all-linear"), NamesOrPattern("all-linear"));
  EXPECT_EQ(names_or_pattern(".*_proj"), NamesOrPattern(".*_proj"));
  EXPECT_EQ(names_or_pattern("(q|v)_proj"), NamesOrPattern("(q|v)_proj"));
}

TEST(TargetModules, AllLinear) {
  EXPECT_EQ(count(targets("all-linear")), 84u);
  EXPECT_EQ(count(targets("ALL-Linear")), 84u);
  EXPECT_THROW(count(targets("all-linear2")), UsageError);
  EXPECT_EQ(short_names(linear_modules()),
            (Names{"down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"}));
}

TEST(TargetModules, ExcludeIsLookedAtFirst) {
  LoraConfig config = targets("all-linear");
  config.exclude_modules = Names{"k_proj", "model.layers.0.self_attn.q_proj"};
  EXPECT_EQ(count(config), 84u - 12u - 1u);
  config.exclude_modules = R"(.*\.mlp\..*)";
  EXPECT_EQ(count(config), 48u);
  config.exclude_modules = ".*";
  EXPECT_THROW(count(config), UsageError);
}

TEST(TargetModules, LayersToTransform) {
  LoraConfig config = targets(Names{"q_proj", "up_proj"});
  config.layers_to_transform = {1, 11};
  EXPECT_EQ(count(config), 4u);
  config.layers_pattern = "layers";
  EXPECT_EQ(count(config), 4u);
  config.layers_pattern = Names{"h", "layers"};
  EXPECT_EQ(count(config), 4u);
  config.layers_pattern = "h";
  EXPECT_THROW(count(config), UsageError);
  config.layers_pattern = "";  // as none
  EXPECT_EQ(count(config), 4u);
  config.layers_to_transform = std::vector<std::int64_t>{};  // as none
  EXPECT_EQ(count(config), 24u);
  config.layers_to_transform = {99};
  EXPECT_THROW(count(config), UsageError);
  // PEFT: a module that is named in full is taken whatever its layer.
  config = targets(Names{"model.layers.5.mlp.up_proj", "k_proj"});
  config.layers_to_transform = {0};
  EXPECT_EQ(find_target_modules(config, linear_modules()),
            (Names{"model.layers.0.self_attn.k_proj", "model.layers.5.mlp.up_proj"}));
}

TEST(TargetModules, TheErrorNamesAModule) {
  try {
    count(targets(Names{"query"}));
    FAIL();
  } catch (const UsageError& e) {
    EXPECT_NE(std::string(e.what()).find("model.layers.0.self_attn.q_proj"), std::string::npos);
  }
}

TEST(LoraConfig, HasTheDefaultsOfPeft) {
  const LoraConfig config;
  EXPECT_EQ(config.r, 8);
  EXPECT_EQ(config.lora_alpha, 8.0);
  EXPECT_EQ(config.lora_dropout, 0.0);
  EXPECT_EQ(scaling_of(config, "any"), 1.0);
}

TEST(LoraConfig, ScalingIsAlphaOverROrOverItsRoot) {
  LoraConfig config;
  config.r = 16;
  config.lora_alpha = 32.0;
  EXPECT_EQ(scaling_of(config, "q_proj"), 2.0);
  config.use_rslora = true;
  EXPECT_EQ(scaling_of(config, "q_proj"), 8.0);
}

TEST(LoraConfig, PatternsGiveAModuleItsOwnRank) {
  LoraConfig config;
  config.r = 4;
  config.rank_pattern = {{"layers.2.self_attn.q_proj", 6}, {"v_proj", 2}, {".*_proj", 9}};
  config.alpha_pattern = {{"v_proj", 3.0}};
  EXPECT_EQ(r_of(config, "model.layers.2.self_attn.q_proj"), 6);
  EXPECT_EQ(r_of(config, "model.layers.12.self_attn.v_proj"), 2) << "the first key that matches";
  EXPECT_EQ(r_of(config, "model.layers.12.self_attn.q_proj"), 9);
  EXPECT_EQ(r_of(config, "lm_head"), 4);
  EXPECT_EQ(alpha_of(config, "model.layers.0.self_attn.v_proj"), 3.0);
  EXPECT_EQ(alpha_of(config, "model.layers.0.self_attn.q_proj"), 8.0);
  EXPECT_EQ(scaling_of(config, "model.layers.0.self_attn.v_proj"), 1.5);

  config.rank_pattern = {{"proj", 2}};
  EXPECT_EQ(r_of(config, "model.q_proj"), 4) << "the key begins at a dot";
  config.rank_pattern = {{"^model.q_proj", 2}};
  EXPECT_EQ(r_of(config, "model.q_proj"), 2);
  config.rank_pattern = {{"q_proj|v_proj", 2}};
  EXPECT_EQ(r_of(config, "model.v_proj"), 2);
}

std::string problem(const LoraConfig& config) {
  try {
    validate(config);
  } catch (const UsageError& e) {
    return e.what();
  }
  return "";
}

TEST(LoraConfig, ChecksItsFields) {
  EXPECT_EQ(problem({}), "");
  const auto says = [](auto&& change, const char* expected) {
    LoraConfig config = targets(Names{"q_proj"});
    change(config);
    EXPECT_NE(problem(config).find(expected), std::string::npos) << problem(config);
  };
  says([](LoraConfig& c) { c.r = 0; }, "r is 0");
  says([](LoraConfig& c) { c.r = -3; }, "r is -3");
  says([](LoraConfig& c) { c.rank_pattern = {{"q", 0}}; }, "rank_pattern: q");
  says([](LoraConfig& c) { c.lora_dropout = 1.0; }, "lora_dropout");
  says([](LoraConfig& c) { c.lora_dropout = -0.1; }, "lora_dropout");
  says([](LoraConfig& c) { c.lora_dropout = std::nan(""); }, "lora_dropout");
  says([](LoraConfig& c) { c.lora_alpha = std::numeric_limits<double>::infinity(); }, "lora_alpha");
  says([](LoraConfig& c) { c.alpha_pattern = {{"q", std::nan("")}}; }, "alpha_pattern: q");
  says([](LoraConfig& c) { c.layers_pattern = "layers"; }, "needs layers_to_transform");
  says(
      [](LoraConfig& c) {
        c.target_modules = "all-linear";
        c.layers_to_transform = {1};
      },
      "cannot be used");
}

}  // namespace
}  // namespace qlora
