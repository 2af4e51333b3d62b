// Chapter 10's claims: they hold for the course's inputs, and follow other inputs; and what its
// configuration and its code come to.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "10_training_mechanics/claims.h"
#include "chapters/chapter_claims.h"
#include "core/error.h"
#include "support/golden.h"
#include "support/process.h"
#include "text/batch.h"

namespace qlora::chapter10 {
namespace {

using testing::scratch;

constexpr testing::ChapterClaims<CourseInputs> kClaims{"10_training_mechanics"};

TEST(Chapter10, AllClaimsHold) {
  const Ledger ledger = kClaims.ledger();
  EXPECT_NO_THROW(ledger.check());
}

TEST(Chapter10, TheScheduleFollowsItsInputs) {
  kClaims.expect_follow({"TR-03", "TR-04"}, [](CourseInputs& in) { in.max_steps = 340; });
  kClaims.expect_follow({"TR-03", "TR-04"}, [](CourseInputs& in) { in.warmup_ratio = 0.2; });
  kClaims.expect_follow({"TR-03"}, [](CourseInputs& in) { in.learning_rate = 1e-4; });
  kClaims.expect_follow({"TR-06"}, [](CourseInputs& in) { in.scheduler = LrScheduler::linear; });
}

TEST(Chapter10, TheOthersFollowTheirs) {
  kClaims.expect_follow({"TR-02"}, [](CourseInputs& in) { in.stable_rate = 0.5; });
  kClaims.expect_follow({"TR-02"}, [](CourseInputs& in) { in.unstable_rate = 2.5; });
  kClaims.expect_follow({"TR-11"}, [](CourseInputs& in) { in.compute = DType::f32; });
  kClaims.expect_follow({"TR-17"}, [](CourseInputs& in) { in.samples = 10000; });
  kClaims.expect_follow({"TR-17"}, [](CourseInputs& in) { in.accumulation = 2; });
  kClaims.expect_follow({"TR-17"}, [](CourseInputs& in) { in.batch_size = 8; });
  kClaims.expect_follow({"TR-18"}, [](CourseInputs& in) { in.dropout = 0.1; });
  kClaims.expect_follow({"TR-19"}, [](CourseInputs& in) { in.rank = 16; });
  kClaims.expect_follow({"TR-19"}, [](CourseInputs& in) { in.layer[0].N = 4096; });
}

TEST(Chapter10, AWrongInputFails) {
  CourseInputs inputs;
  inputs.warmup_ratio = 0.05;
  EXPECT_THROW(kClaims.ledger(inputs).check(), Error);
  inputs = {};
  inputs.autocast = DType::bf16;  // then the configuration is consistent
  EXPECT_THROW(kClaims.ledger(inputs).check(), Error);
}

// 48 rows of text: three steps of 16 an epoch.
std::string text_rows() {
  const std::string path = (scratch() / "rows.jsonl").string();
  std::ofstream file(path);
  for (int i = 0; i < 48; ++i) file << R"({"text": "a word and number )" << i << "\"}\n";
  return path;
}

testing::Ended train(const std::vector<std::string>& more) {
  const std::string program = QLORA_BIN "/ch12_qlora_finetuning";
  std::vector<std::string> arguments{
      program, "train",  "--model",   QLORA_TINY_LLAMA, "--device",
      "cpu",   "--data", text_rows(), "--output-dir",   (scratch() / "out").string()};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return testing::run_process(arguments, scratch().string(), 120);
}

// The course's TrainingArguments and dropout under their Python names.
TEST(CourseArguments, AreTakenByTheTrainer) {
  const std::string config = (scratch() / "arguments.json").string();
  std::ofstream(config) << R"({"num_train_epochs": 3, "per_device_train_batch_size": 4,
    "gradient_accumulation_steps": 4, "learning_rate": 2e-4, "fp16": true, "logging_steps": 10,
    "save_strategy": "epoch", "lora_dropout": 0.05, "r": 16, "lora_alpha": 32})";
  const testing::Ended ended = train({"--config", config});
  ASSERT_TRUE(ended.ok()) << ended.output;
  const std::string out = (scratch() / "out").string();
  const Json state = Json::read(out + "/trainer_state.json");
  EXPECT_EQ(state.at("global_step").as_integer(), 9);  // three epochs of 48 / (4 · 4)
  EXPECT_EQ(state.at("num_train_epochs").as_integer(), 3);
  EXPECT_EQ(state.at("train_batch_size").as_integer(), 4);
  EXPECT_EQ(state.at("logging_steps").as_integer(), 10);
  for (const int step : {3, 6, 9}) {
    EXPECT_TRUE(std::filesystem::exists(out + "/checkpoint-" + std::to_string(step))) << step;
  }
  const Json settings = Json::read(out + "/checkpoint-3/resume.json").at("settings");
  EXPECT_EQ(settings.at("learning_rate").as_number(), 2e-4);
  EXPECT_EQ(Json::read(out + "/adapter_config.json").at("lora_dropout").as_number(), 0.05);
}

TEST(CourseArguments, MomentsIn8BitsAreAnOption) {
  const testing::Ended ended =
      train({"--optim", "adamw_8bit", "--max-steps", "2", "--r", "32", "--target-modules",
             "all-linear", "--save-strategy", "epoch"});
  ASSERT_TRUE(ended.ok()) << ended.output;
  const Json resume = Json::read((scratch() / "out/checkpoint-2/resume.json").string());
  EXPECT_EQ(resume.at("settings").at("optim").as_string(), "adamw_8bit");
}

// Trainer(model, args, dataset["train"]) gets rows of text: there is nothing that a model could
// look up, and no label. Both are made by tokenizing.
TEST(CourseTrainer, ATextColumnNeedsATokenizerAndLabels) {
  const std::vector<Example> rows = read_dataset(text_rows());
  EXPECT_EQ(rows.at(0).kind, Example::Kind::text);
  const TokenizedExample e = tokenize_example(rows.at(0), Tokenizer::load(QLORA_TINY_LLAMA));
  EXPECT_EQ(e.labels, e.input_ids);
  const std::vector<TokenizedExample> examples{e};
  const std::vector<std::int64_t> first{0};
  Batch batch = collate(examples, first, 0);
  EXPECT_EQ(batch.supervised, static_cast<std::int64_t>(e.labels.size()) - 1);
  // Padding up to a longer row has no labels.
  const std::vector<TokenizedExample> two{e, {{1, 2}, {1, 2}}};
  const std::vector<std::int64_t> both{0, 1};
  batch = collate(two, both, 0);
  EXPECT_EQ(batch.labels.data<std::int32_t>()[batch.labels.numel() - 1], kIgnoredLabel);
}

}  // namespace
}  // namespace qlora::chapter10
