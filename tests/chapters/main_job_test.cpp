// The main job and the experiments of chapter 12, made short.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "core/json.h"
#include "support/golden.h"
#include "support/process.h"

namespace qlora {
namespace {

namespace fs = std::filesystem;
using testing::scratch;

testing::Ended run(const std::vector<std::string>& words) {
  std::vector<std::string> arguments{QLORA_BIN "/ch12_qlora_finetuning"};
  arguments.insert(arguments.end(), words.begin(), words.end());
  for (const char* more : {"--items", "32", "--test-items", "2", "--device", "cpu"}) {
    arguments.emplace_back(more);
  }
  return testing::run_process(arguments, scratch().string(), 120);
}

TEST(MainJob, WritesTheReportAndTheClaims) {
  const testing::Ended ended = run({"--json", "all.json", "--figures", "figures"});
  ASSERT_TRUE(ended.ok()) << ended.output;
  const Json all = Json::read(scratch() / "all.json");
  const Json report = Json::read(scratch() / "runs/main-job/report.json");
  for (const auto& [name, value] : report.as_object()) {
    EXPECT_EQ(all.at(name).dump(), value.dump()) << name;
  }
  EXPECT_EQ(report.find("claims"), nullptr);  // report.json is what `evaluate` writes too
  EXPECT_EQ(all.at("claims").size(), 32u);
  EXPECT_EQ(all.at("configurations").size(), 5u);
  EXPECT_EQ(all.at("items").as_integer(), 2);
  for (const char* figure : {"structure", "loss", "hits"}) {
    EXPECT_TRUE(fs::exists(scratch() / "figures" / (std::string(figure) + ".svg"))) << figure;
  }
}

double mean_of(const Json& results, std::size_t variant, const std::string& figure) {
  return results.at("variants").at(variant).at("figures").at(figure).at("mean").as_number();
}

TEST(Experiments, RankCountsWhatItTrains) {
  const testing::Ended ended = run({"experiment", "rank", "--seeds", "1", "--json", "rank.json"});
  ASSERT_TRUE(ended.ok()) << ended.output;
  const Json results = Json::read(scratch() / "rank.json");
  ASSERT_EQ(results.at("variants").size(), 5u);
  for (std::size_t i = 0; i < 5; ++i) {
    // 20,352 numbers for each rank: 6 layers of 2·(192+192) + 2·(192+64) + 3·(192+512).
    const double r = 4.0 * static_cast<double>(1 << i);
    EXPECT_EQ(mean_of(results, i, "trained"), 20352 * r);
    EXPECT_GT(mean_of(results, i, "test loss"), 0);
  }
  EXPECT_TRUE(fs::exists(scratch() / "runs/experiment-rank/rank.svg"));
}

TEST(Experiments, DoraTrainsItsMagnitudesBeside) {
  const testing::Ended ended = run({"experiment", "dora", "--seeds", "1", "--json", "dora.json"});
  ASSERT_TRUE(ended.ok()) << ended.output;
  EXPECT_NE(ended.output.find("over 1 seed;"), std::string::npos) << ended.output;
  const Json results = Json::read(scratch() / "dora.json");
  ASSERT_EQ(results.at("variants").size(), 9u);
  const double magnitudes = 6.0 * (2 * 192 + 2 * 64 + 2 * 512 + 192);  // one an output
  std::size_t row = 0;
  for (const double r : {4.0, 16.0, 32.0}) {
    EXPECT_EQ(mean_of(results, row, "trained"), 20352 * r);
    EXPECT_EQ(mean_of(results, row + 1, "trained"), 20352 * r);
    EXPECT_EQ(mean_of(results, row + 2, "trained"), 20352 * r + magnitudes);
    // The three start alike, and rsLoRA's update is sqrt r times as large: none is another's run.
    EXPECT_NE(mean_of(results, row, "test loss"), mean_of(results, row + 1, "test loss"));
    EXPECT_NE(mean_of(results, row, "test loss"), mean_of(results, row + 2, "test loss"));
    row += 3;
  }
}

TEST(Experiments, WhatTheVariantsDifferInIsNoOption) {
  for (const char* name : {"rank", "alpha-rule", "dora"}) {
    const testing::Ended ended = run({"experiment", name, "--r", "7"});
    EXPECT_EQ(ended.exit_code, 2) << name;
    EXPECT_NE(ended.output.find("--r"), std::string::npos) << ended.output;
  }
  EXPECT_EQ(run({"experiment", "learning-rate", "--learning-rate", "1"}).exit_code, 2);
}

TEST(Experiments, NeedABaseThatIsNotQuantizedYet) {
  const fs::path folder = scratch() / "int8";
  fs::copy(QLORA_TINY_LLAMA, folder);
  Json config = Json::read(folder / "config.json");
  config["quantization_config"]["load_in_8bit"] = true;
  std::ofstream(folder / "config.json") << config.dump();
  const testing::Ended ended = run({"experiment", "base-format", "--model", folder.string()});
  EXPECT_EQ(ended.exit_code, 3) << ended.output;
  EXPECT_NE(ended.output.find("int8/config.json: quantization_config"), std::string::npos)
      << ended.output;
}

TEST(Experiments, BaseFormatsTakeTheirBytes) {
  const testing::Ended ended =
      run({"experiment", "base-format", "--seeds", "1", "--json", "formats.json"});
  ASSERT_TRUE(ended.ok()) << ended.output;
  const Json results = Json::read(scratch() / "formats.json");
  const double weights = 6.0 * (2 * 192 * 192 + 2 * 64 * 192 + 3 * 512 * 192) / 1e6;
  EXPECT_EQ(mean_of(results, 4, "linears, MB"), 2 * weights);
  EXPECT_NEAR(mean_of(results, 3, "linears, MB"), weights, 0.02 * weights);  // and row maxima
  // 4.5 bits and each tensor's map of 16 floats.
  EXPECT_NEAR(mean_of(results, 1, "linears, MB"), 4.5 / 8 * weights + 42 * 64e-6, 1e-9);
  EXPECT_LT(mean_of(results, 0, "linears, MB"), mean_of(results, 1, "linears, MB"));
}

TEST(Experiments, ALossThatIsNoNumberIsAFailedRunAndNotTheEnd) {
  const testing::Ended ended =
      run({"experiment", "random-base", "--seeds", "1", "--learning-rate", "1e30"});
  ASSERT_TRUE(ended.ok()) << ended.output;
  EXPECT_NE(ended.output.find("failed"), std::string::npos) << ended.output;
}

TEST(Experiments, EachHasAVerb) {
  const testing::Ended help = testing::run_process(
      {QLORA_BIN "/ch12_qlora_finetuning", "experiment", "--help"}, scratch().string(), 60);
  for (const char* name : {"rank", "alpha", "alpha-rule", "dora", "targets", "learning-rate",
                           "base-format", "lora-against-qlora", "random-base"}) {
    EXPECT_NE(help.output.find(std::string("  ") + name + " "), std::string::npos) << name;
  }
}

}  // namespace
}  // namespace qlora
