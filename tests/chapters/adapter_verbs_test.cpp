// `merge` and `inspect` of chapter 13, and `count` beside them, through the command line.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "checkpoint/combine_adapters.h"
#include "checkpoint/model_folder.h"
#include "core/json.h"
#include "support/golden.h"
#include "support/matcher.h"
#include "support/process.h"

namespace qlora {
namespace {

namespace fs = std::filesystem;
using testing::all_close;
using testing::golden;
using testing::same_bytes;
using testing::scratch;

const std::string kFirst = golden("variants/multi/first"), kThird = golden("variants/multi/third");

testing::Ended ch13(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), QLORA_BIN "/ch13_adapters");
  return testing::run_process(arguments, scratch().string(), 60);
}

std::string out() {
  return (scratch() / "out").string();
}

TEST(MergeVerb, WritesTheModelThatPeftMerges) {
  const std::string json = (scratch() / "merge.json").string();
  const testing::Ended ended =
      ch13({"merge", "--model", golden("llama/a_fp32"), "--adapter",
            golden("qlora/adapter_nonzero"), "--output", out(), "--json", json});
  ASSERT_TRUE(ended.ok()) << ended.output;
  EXPECT_EQ(Json::read(json).at("merged").as_integer(), 3 * 7);
  const ModelFolder ours = ModelFolder::open(out());
  const auto theirs = SafetensorsFile::open(golden("qlora/merged_fp32.safetensors"));
  for (const TensorInfo& t : theirs.tensors()) {
    EXPECT_TRUE(all_close(ours.tensors.tensor(t.name), theirs.tensor(t.name), 1e-6)) << t.name;
  }
}

TEST(MergeVerb, RequantizesAndSaysByHowMuchItIsOff) {
  const std::string json = (scratch() / "merge.json").string();
  const testing::Ended ended =
      ch13({"merge", "--model", golden("llama_nf4/a"), "--adapter", golden("qlora/adapter_nonzero"),
            "--requantize", "--output", out(), "--json", json});
  ASSERT_TRUE(ended.ok()) << ended.output;
  EXPECT_NE(ended.output.find("quantized again"), std::string::npos) << ended.output;
  // NF4 with blocks of 64 rounds normal weights by a tenth of their root mean square (chapter 3).
  EXPECT_GT(Json::read(json).at("requantization_error").as_number(), 0.05);
  EXPECT_LT(Json::read(json).at("requantization_error").as_number(), 0.15);
  EXPECT_TRUE(ModelFolder::open(out()).config.find("quantization_config") != nullptr);
}

TEST(MergeVerb, WithoutAModelAdaptersAreCombined) {
  const testing::Ended ended = ch13({"merge", "--adapter", kFirst, "--adapter", kThird, "--weights",
                                     "0.7,-0.4", "--combination-type", "cat", "--output", out()});
  ASSERT_TRUE(ended.ok()) << ended.output;
  const PeftAdapter ours = read_adapter(out());
  const std::vector<PeftAdapter> parts{read_adapter(kFirst), read_adapter(kThird)};
  const PeftAdapter expected =
      combine_adapters(parts, std::vector<double>{0.7, -0.4}, Combination::cat, std::nullopt);
  ASSERT_EQ(ours.modules.size(), expected.modules.size());
  EXPECT_EQ(ours.config.r, parts[0].config.r + parts[1].config.r);
  for (std::size_t i = 0; i < ours.modules.size(); ++i) {
    EXPECT_EQ(ours.modules[i].module, expected.modules[i].module);
    EXPECT_TRUE(same_bytes(ours.modules[i].A, expected.modules[i].A));
    EXPECT_TRUE(same_bytes(ours.modules[i].B, expected.modules[i].B));
  }
}

TEST(MergeVerb, NeverReplacesAFolderThatHoldsAnything) {
  const std::string base = golden("llama/a_fp32"), note = out() + "/note.txt";
  fs::create_directories(out());
  for (const char* name : {"/config.json", "/adapter_config.json", "/note.txt"}) {
    std::ofstream(out() + name) << "{}";
  }
  const std::vector<std::string> with_a_model{
      "merge", "--model", base, "--adapter", golden("qlora/adapter_nonzero"), "--output", out()};
  const std::vector<std::string> without{"merge", "--adapter", kFirst, "--output", out()};
  for (const auto& arguments : {with_a_model, without}) {
    const testing::Ended ended = ch13(arguments);
    EXPECT_EQ(ended.exit_code, 3) << ended.output;
    EXPECT_NE(ended.output.find("out: is not empty"), std::string::npos) << ended.output;
    EXPECT_TRUE(fs::exists(note));
  }
}

TEST(MergeVerb, SaysWhereAnAdapterWasMadeForAnotherBase) {
  const std::string adapter = golden("qlora/adapter_nonzero");  // made for golden/llama/a_fp32
  for (const std::string name : {"a_fp32", "a_bf16"}) {
    const testing::Ended ended = ch13({"merge", "--model", golden("llama/" + name), "--adapter",
                                       adapter, "--output", out() + name});
    ASSERT_TRUE(ended.ok()) << ended.output;
    const std::size_t said = ended.output.find(adapter + ": was made for golden/llama/a_fp32; ");
    EXPECT_EQ(said != std::string::npos, name == "a_bf16") << ended.output;
  }
}

TEST(AdapterLesson, SwitchingLeavesTheBaseAndUnmergingDoesNot) {
  const std::string json = (scratch() / "lesson.json").string();
  const testing::Ended ended = ch13({"--json", json});
  ASSERT_TRUE(ended.ok()) << ended.output;
  const Json lesson = Json::read(json);
  const auto number = [&](std::size_t row, const char* name) {
    return lesson.at("switching").at(row).at(name).as_number();
  };
  ASSERT_EQ(lesson.at("switching").size(), 7u);
  for (std::size_t row = 0; row < 5; ++row) EXPECT_EQ(number(row, "changed"), 0) << row;
  for (const char* loss : {"loss_on_first", "loss_on_second"}) {
    EXPECT_EQ(number(4, loss), number(0, loss)) << "the same bytes give the same loss";
    // float32 rounds the merged weights: 24 bits of each
    EXPECT_NEAR(number(5, loss), number(3, loss), 1e-4);
    EXPECT_LT(number(3, loss), number(0, loss)) << "both together know both texts";
  }
  EXPECT_LT(number(1, "loss_on_first"), number(0, "loss_on_first"));
  EXPECT_LT(number(2, "loss_on_second"), number(0, "loss_on_second"));
  EXPECT_GT(number(5, "changed"), 0.9);
  EXPECT_GT(number(6, "changed"), 0.0);
  EXPECT_LT(number(6, "off"), 1e-7);  // two roundings of 2^-24 each, some 6e-8 at the most
}

// One that was trained on all linear layers goes with one on the attention's: lists of names both.
TEST(MergeVerb, CombinesAdaptersOfDifferentTargets) {
  const std::string data = (scratch() / "data.jsonl").string();
  std::ofstream(data) << R"({"prompt": "one", "completion": " two"})" << '\n';
  std::vector<std::string> merge{"merge", "--combination-type", "cat", "--output", out()};
  for (const char* targets : {"all-linear", "q_proj,v_proj"}) {
    const std::string folder = (scratch() / targets).string();
    const testing::Ended trained = testing::run_process(
        {QLORA_BIN "/ch12_qlora_finetuning", "train", "--device", "cpu", "--model",
         QLORA_TINY_LLAMA, "--data", data, "--max-steps", "1", "--save-strategy", "no",
         "--target-modules", targets, "--output-dir", folder},
        scratch().string(), 60);
    ASSERT_TRUE(trained.ok()) << trained.output;
    merge.insert(merge.end(), {"--adapter", folder});
  }
  const testing::Ended ended = ch13(merge);
  ASSERT_TRUE(ended.ok()) << ended.output;
  EXPECT_EQ(std::get<std::vector<std::string>>(*read_adapter(out()).config.target_modules).size(),
            7u);
}

struct Refusal {
  std::vector<std::string> arguments;
  int exit_code;
  std::string part;  // of the one line
};

TEST(MergeVerb, WhatDoesNotFitIsRefusedAndNothingIsWritten) {
  const std::string base = golden("llama/a_fp32");
  const std::vector<Refusal> refusals{
      {{"--model", base}, 2, "--adapter DIR is needed"},
      {{"--adapter", kFirst, "--weights", "1,2"}, 2, "--weights has 2 numbers for 1 adapters"},
      {{"--adapter", kFirst, "--weights", "1,x"}, 2, "--weights"},
      {{"--adapter", kFirst, "--requantize"}, 2, "--requantize needs --model"},
      {{"--adapter", kFirst, "--dtype", "float16"}, 2, "--dtype needs --model"},
      {{"--adapter", kFirst, "--combination-type", "cat", "--svd-rank", "2"}, 2, "--svd-rank"},
      {{"--adapter", kFirst, "--combination-type", "mean"}, 2, "linear, cat, svd"},
      {{"--adapter", base}, 3, "adapter_config.json"},
      {{"--model", QLORA_TINY_LLAMA, "--adapter", kFirst}, 3, "in the base model"},
  };
  for (const Refusal& r : refusals) {
    std::vector<std::string> arguments{"merge", "--output", out()};
    arguments.insert(arguments.end(), r.arguments.begin(), r.arguments.end());
    const testing::Ended ended = ch13(arguments);
    EXPECT_EQ(ended.exit_code, r.exit_code) << ended.output;
    EXPECT_NE(ended.output.find(r.part), std::string::npos) << ended.output;
    EXPECT_FALSE(fs::exists(out())) << ended.output;
  }
}

TEST(AdapterInspectVerb, PrintsWhatTheFolderHolds) {
  const std::string json = (scratch() / "inspect.json").string();
  const testing::Ended ended =
      ch13({"inspect", "--adapter", golden("variants/dora"), "--json", json});
  ASSERT_TRUE(ended.ok()) << ended.output;
  const Json result = Json::read(json);
  EXPECT_EQ(result.at("kind").as_string(), "DoRA");
  std::int64_t parameters = 0, modules = 0;  // counted in the file itself
  const auto file = SafetensorsFile::open(golden("variants/dora/adapter_model.safetensors"));
  for (const TensorInfo& t : file.tensors()) {
    parameters += file.tensor(t.name).numel();
    modules += t.name.ends_with("lora_A.weight") ? 1 : 0;
  }
  EXPECT_EQ(result.at("parameters").as_integer(), parameters);
  EXPECT_EQ(result.at("modules").as_integer(), modules);
  EXPECT_NE(ended.output.find("magnitudes ["), std::string::npos) << ended.output;

  const testing::Ended counted =
      testing::run_process({QLORA_BIN "/ch06_counting_lora_parameters", "count", "--model",
                            golden("llama/a_fp32"), "--r", "4", "--target-modules",
                            "q_proj,k_proj,v_proj,o_proj,down_proj", "--use-dora", "--json", json},
                           scratch().string(), 60);
  ASSERT_TRUE(counted.ok()) << counted.output;
  EXPECT_EQ(Json::read(json).at("trainable").as_integer(), parameters);
}

}  // namespace
}  // namespace qlora
