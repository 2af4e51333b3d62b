// Options that are not supported, and the values of theirs that ask for nothing.
#include <gtest/gtest.h>

#include <fstream>

#include "core/error.h"
#include "course/options.h"
#include "support/golden.h"

namespace qlora {
namespace {

// What a verb with --report-to and --fsdp says of these words; "" where it takes them.
std::string refusal(const std::vector<std::string>& words) {
  Options options("tool", "A tool.");
  options.unsupported("--report-to", "results go to files", {"none", "false"});
  options.unsupported("--fsdp", "one process a GPU");
  options.add_config();
  try {
    options.parse(words);
  } catch (const UsageError& e) {
    return e.what();
  }
  return "";
}

std::string config_file() {
  return testing::in_scratch("config.json");
}

std::string refusal_in_config(const std::string& json) {
  std::ofstream(config_file()) << json;
  return refusal({"--config", config_file()});
}

constexpr const char* kLine =
    "--report-to is not supported but as none or false: results go to files";
std::string line_of_config() {
  return config_file() + ": report_to is not supported but as none or false: results go to files";
}

TEST(UnsupportedOptions, SayWhy) {
  EXPECT_EQ(refusal({"--fsdp", "full_shard"}), "--fsdp is not supported: one process a GPU");
  EXPECT_EQ(refusal({"--fsdp"}), "--fsdp is not supported: one process a GPU");
}

TEST(HarmlessValues, AreTakenOnTheCommandLine) {
  EXPECT_EQ(refusal({"--report-to", "none"}), "");
  EXPECT_EQ(refusal({"--report-to", "wandb"}), kLine);
  EXPECT_EQ(refusal({"--report-to", "none", "--report-to", "wandb"}), kLine);
  EXPECT_EQ(refusal({"--report-to"}), kLine);
  EXPECT_EQ(refusal({"--report-to", "False"}), "");  // as Python writes it
}

TEST(HarmlessValues, AreTakenFromAConfiguration) {
  EXPECT_EQ(refusal_in_config(R"({"report_to": "none"})"), "");
  EXPECT_EQ(refusal_in_config(R"({"report_to": false})"), "");
  EXPECT_EQ(refusal_in_config(R"({"report_to": null})"), "");
  EXPECT_EQ(refusal_in_config(R"({"report_to": ["none"]})"), "");
  EXPECT_EQ(refusal_in_config(R"({"report_to": [], "fsdp": ""})"), "");
  EXPECT_EQ(refusal_in_config(R"({"fsdp": {}})"), "");
  EXPECT_EQ(refusal_in_config(R"({"report_to": "wandb"})"), line_of_config());
  EXPECT_EQ(refusal_in_config(R"({"report_to": ["none", "wandb"]})"), line_of_config());
  EXPECT_EQ(refusal_in_config(R"({"report_to": true})"), line_of_config());
  EXPECT_EQ(refusal_in_config(R"({"fsdp": {"a": 1}})"),
            config_file() + ": fsdp is not supported: one process a GPU");
}

TEST(WithoutEffect, AnyValueIsTaken) {
  Options options("tool", "A tool.");
  options.without_effect("--dataloader-num-workers");
  options.add_config();
  std::ofstream(config_file()) << R"({"dataloader_num_workers": {"any": [1, "thing"]}})";
  EXPECT_NO_THROW(options.parse({"--dataloader-num-workers", "4", "--config", config_file()}));
  EXPECT_NE(options.help().find("Taken and without effect: --dataloader-num-workers"),
            std::string::npos)
      << options.help();
}

TEST(Spellings, OfAWordAreThatWord) {
  for (const bool in_config : {false, true}) {
    std::string dtype;
    Options options("tool", "A tool.");
    options.add("--dtype", dtype, "arithmetic")
        .choices({"float32", "bfloat16"})
        .spelled("torch.bfloat16", "bfloat16");
    options.add_config();
    std::ofstream(config_file()) << R"({"dtype": "torch.bfloat16"})";
    options.parse(in_config ? std::vector<std::string>{"--config", config_file()}
                            : std::vector<std::string>{"--dtype", "torch.bfloat16"});
    EXPECT_EQ(dtype, "bfloat16");
  }
}

TEST(JsonOptions, AreTypedOrStandInTheConfiguration) {
  const auto parsed = [](const std::vector<std::string>& words) {
    Json pattern;
    Options options("tool", "A tool.");
    options.add("--rank-pattern", pattern, "ranks");
    options.add_config();
    options.parse(words);
    return pattern.at("q_proj").as_integer();
  };
  EXPECT_EQ(parsed({"--rank-pattern", R"({"q_proj": 3})"}), 3);
  std::ofstream(config_file()) << R"({"rank_pattern": {"q_proj": 4}})";
  EXPECT_EQ(parsed({"--config", config_file()}), 4);
  EXPECT_THROW(parsed({"--rank-pattern", "{q_proj: 3}"}), UsageError);
}

TEST(HarmlessValues, StandInTheHelp) {
  Options options("tool", "A tool.");
  options.unsupported("--report-to", "results go to files", {"none", "false"});
  options.unsupported("--fsdp", "one process a GPU");
  EXPECT_NE(
      options.help().find("Known and not supported: --report-to (but as none, false), --fsdp"),
      std::string::npos)
      << options.help();
}

}  // namespace
}  // namespace qlora
