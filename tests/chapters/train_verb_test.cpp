// `train` through the command line: packed rows.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "checkpoint/safetensors.h"
#include "core/json.h"
#include "support/golden.h"
#include "support/matcher.h"
#include "support/process.h"

namespace qlora {
namespace {

using testing::scratch;

// Three steps over twelve short rows, with these options besides.
testing::Ended train(const std::string& output_dir, const std::vector<std::string>& options,
                     const std::string& model = QLORA_TINY_LLAMA) {
  const std::string data = (scratch() / "data.jsonl").string();
  std::ofstream file(data);
  for (int i = 0; i < 12; ++i) {
    file << R"({"prompt": "item )" << i << R"(, price: $", "completion": ")" << 7 * i << "\"}\n";
  }
  file.close();
  const std::string program = QLORA_BIN "/ch12_qlora_finetuning";
  std::vector<std::string> arguments = {
      program, "train",        "--model", model,          "--data", data,           "--max-steps",
      "3",     "--max-length", "64",      "--save-steps", "1",      "--output-dir", output_dir};
  arguments.insert(arguments.end(), options.begin(), options.end());
  return testing::run_process(arguments, scratch().string(), 60);
}

TEST(TrainVerb, SaysHowManyExamplesSharedHowManyRows) {
  const std::string out = (scratch() / "out").string();
  const testing::Ended ended = train(out, {"--packing", "--group-by-length"});
  ASSERT_TRUE(ended.ok()) << ended.output;
  EXPECT_NE(ended.output.find("12 rows, "), std::string::npos) << ended.output;
  EXPECT_NE(ended.output.find("packed: 12 examples in "), std::string::npos) << ended.output;
  EXPECT_NE(ended.output.find(" rows of up to 64 tokens, "), std::string::npos) << ended.output;
  EXPECT_TRUE(std::filesystem::exists(out + "/adapter_model.safetensors"));
  EXPECT_EQ(train(out, {}).output.find("packed"), std::string::npos);
}

TEST(TrainVerb, APackedRunGoesOnPackedOnly) {
  const std::string whole = (scratch() / "whole").string();
  const std::string cut = (scratch() / "cut").string();
  ASSERT_TRUE(train(whole, {"--packing"}).ok());
  ASSERT_TRUE(train(cut, {"--packing"}).ok());
  for (const int step : {2, 3}) {  // as if it had ended behind the first step
    std::filesystem::remove_all(cut + "/checkpoint-" + std::to_string(step));
  }
  const testing::Ended unpacked = train(cut, {"--resume-from-checkpoint", "true"});
  EXPECT_EQ(unpacked.exit_code, 3);
  EXPECT_NE(unpacked.output.find("resume.json: train_rows"), std::string::npos) << unpacked.output;
  ASSERT_TRUE(train(cut, {"--packing", "--resume-from-checkpoint", "true"}).ok());
  const std::string name = "/adapter_model.safetensors";
  const auto a = SafetensorsFile::open(whole + name), b = SafetensorsFile::open(cut + name);
  for (const TensorInfo& t : a.tensors()) {
    EXPECT_TRUE(testing::same_bytes(a.tensor(t.name), b.tensor(t.name))) << t.name;
  }
}

// What is wrong is said before the weights are looked at: a folder without any says the same.
TEST(TrainVerb, LooksAtDataFoldersAndCheckpointBeforeTheWeights) {
  namespace fs = std::filesystem;
  const fs::path bare = scratch() / "bare";
  fs::copy(QLORA_TINY_LLAMA, bare);
  fs::remove(bare / "model.safetensors");
  const std::string done = (scratch() / "done").string(), out = (scratch() / "new/out").string();
  ASSERT_TRUE(train(done, {}).ok());
  std::ofstream(scratch() / "broken.jsonl") << "{\n";
  std::ofstream(scratch() / "file") << "no folder";
  const auto says = [&](const std::string& folder, std::vector<std::string> options,
                        const std::string& part) {
    const testing::Ended ended = train(folder, options, bare.string());
    EXPECT_EQ(ended.exit_code, 3);
    EXPECT_NE(ended.output.find(part), std::string::npos) << ended.output;
    EXPECT_FALSE(fs::exists(scratch() / "new"));
  };
  says(out, {}, "bare");  // and only then the weights
  says(out, {"--eval-data", (scratch() / "broken.jsonl").string()}, "broken.jsonl: line 1");
  says((scratch() / "file/out").string(), {}, "cannot be made a folder");
  says(out, {"--resume-from-checkpoint", "true"}, "holds no checkpoint to resume from");
  const std::string checkpoint = done + "/checkpoint-2";
  says(out, {"--resume-from-checkpoint", checkpoint, "--learning-rate", "1e-3"},
       "resume.json: settings.learning_rate");
  fs::remove(checkpoint + "/optimizer.safetensors");
  says(out, {"--resume-from-checkpoint", checkpoint}, "optimizer.safetensors");
}

TEST(TrainVerb, LeavesNothingBehindWhereNothingWasWritten) {
  const std::string out = (scratch() / "new/out").string();
  // Steps of 1e38 make weights that float32 does not hold.
  const testing::Ended ended =
      train(out, {"--learning-rate", "1e38", "--save-strategy", "no", "--device", "cpu"});
  EXPECT_EQ(ended.exit_code, 1) << ended.output;
  EXPECT_NE(ended.output.find("; this run has written no checkpoint"), std::string::npos)
      << ended.output;
  EXPECT_FALSE(std::filesystem::exists(scratch() / "new"));
}

// A row of packed examples may be longer than the model has positions, if none of them is.
TEST(TrainVerb, IdsReserveThePositionsThatTheyHave) {
  const std::filesystem::path folder = scratch() / "short";
  std::filesystem::copy(QLORA_TINY_LLAMA, folder);
  Json config = Json::read((folder / "config.json").string());
  config["max_position_embeddings"] = 4;
  std::ofstream(folder / "config.json") << config.dump();
  const std::string ids = (scratch() / "ids.json").string();
  std::ofstream(ids) << R"({"input_ids": [[1, 2, 3, 4, 5, 6, 7]], "labels": [[1, 2, 3, 4, 5, 6, 7]],
                           "position_ids": [[0, 1, 2, 3, 0, 1, 2]]})";
  const auto run = [&](std::vector<std::string> arguments, const char* output) {
    for (const std::string& word : {std::string("--model"), folder.string(), std::string("--ids"),
                                    ids, std::string(output), (scratch() / "out").string()}) {
      arguments.push_back(word);
    }
    return testing::run_process(arguments, scratch().string(), 60);
  };
  const testing::Ended logits = run({QLORA_BIN "/ch08_llama_decoder", "logits"}, "--output");
  EXPECT_TRUE(logits.ok()) << logits.output;
  const testing::Ended gradients =
      run({QLORA_BIN "/ch12_qlora_finetuning", "train"}, "--dump-gradients");
  EXPECT_TRUE(gradients.ok()) << gradients.output;
}

}  // namespace
}  // namespace qlora
