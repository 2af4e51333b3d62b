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

std::string refusal_in_config(const std::string& json) {
  const std::string path = testing::scratch() / "config.json";
  std::ofstream(path) << json;
  return refusal({"--config", path});
}

constexpr const char* kLine =
    "--report-to is not supported but as none or false: results go to files";

TEST(UnsupportedOptions, SayWhy) {
  EXPECT_EQ(refusal({"--fsdp", "full_shard"}), "--fsdp is not supported: one process a GPU");
  EXPECT_EQ(refusal({"--fsdp"}), "--fsdp is not supported: one process a GPU");
}

TEST(HarmlessValues, AreTakenOnTheCommandLine) {
  EXPECT_EQ(refusal({"--report-to", "none"}), "");
  EXPECT_EQ(refusal({"--report-to", "wandb"}), kLine);
  EXPECT_EQ(refusal({"--report-to", "none", "--report-to", "wandb"}), kLine);
  EXPECT_EQ(refusal({"--report-to"}), kLine);
}

TEST(HarmlessValues, AreTakenFromAConfiguration) {
  EXPECT_EQ(refusal_in_config(R"({"report_to": "none"})"), "");
  EXPECT_EQ(refusal_in_config(R"({"report_to": false})"), "");
  EXPECT_EQ(refusal_in_config(R"({"report_to": null})"), "");
  EXPECT_EQ(refusal_in_config(R"({"report_to": "wandb"})"), kLine);
  EXPECT_EQ(refusal_in_config(R"({"report_to": ["none", "wandb"]})"), kLine);
  EXPECT_EQ(refusal_in_config(R"({"report_to": true})"), kLine);
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
