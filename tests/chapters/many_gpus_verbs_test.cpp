// The verbs of chapter 17 beside `pretrain`: the experiment, in small, and the cluster on paper.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "core/json.h"
#include "support/golden.h"
#include "support/matcher.h"
#include "support/process.h"

namespace qlora {
namespace {

using testing::in_scratch;
using testing::scratch;

const std::string kChapter = QLORA_BIN "/ch17_full_finetuning_and_many_gpus ";

testing::Ended run(const std::string& line) {
  return testing::run_process(testing::shell_words(line), scratch().string(), 200);
}

// Two steps of every variant; four test items.
TEST(Forgetting, MeasuresOldTextBesidePrices) {
  std::ifstream all(QLORA_TINY_LLAMA "/../prices/test.jsonl");
  std::ofstream few(in_scratch("few.jsonl"));
  for (std::string line; few.tellp() < 800 && std::getline(all, line);) few << line << "\n";
  few.close();
  const auto ended = run(kChapter +
                         "experiment forgetting --device cpu --seeds 1 --items 16 --batch-size 8 "
                         "--test-data " +
                         in_scratch("few.jsonl") + " --output-dir " + in_scratch("out"));
  ASSERT_TRUE(ended.ok()) << ended.output;
  const Json results = Json::read(in_scratch("out/forgetting.json"));
  const Json& variants = results.at("variants");
  const auto old_loss = [&](std::size_t i) {
    return variants.at(i).at("figures").at("old text, loss").at("mean").as_number();
  };
  ASSERT_EQ(variants.at(std::size_t{0}).at("name").as_string(), "before");
  // The card has 2.274 for all that was held out; of a part of it see HeldOutText.
  EXPECT_TRUE(testing::is_close(old_loss(0), 2.274, 0.15));
  ASSERT_EQ(variants.size(), 15u);
  for (std::size_t i = 1; i < variants.size(); ++i) {
    EXPECT_NE(old_loss(i), old_loss(0)) << variants.at(i).at("name").as_string();
  }
  EXPECT_TRUE(std::filesystem::exists(in_scratch("out/forgetting.svg")));
  EXPECT_TRUE(std::filesystem::exists(in_scratch("out/forgetting-tradeoff.svg")));
}

TEST(ClusterVerb, WritesEveryMethodOnEveryNumberOfGpus) {
  const std::string file = in_scratch("cluster.json");
  const auto ended =
      run(kChapter + "cluster --random-model llama-3.1-8b --gpus 1,8,1024 --json " + file);
  ASSERT_TRUE(ended.ok()) << ended.output;
  const Json results = Json::read(file);
  const Json& rows = results.at("rows");
  ASSERT_EQ(rows.size(), 15u);
  EXPECT_EQ(rows.at(std::size_t{0}).at("method").as_string(), "full, data parallel");
  EXPECT_FALSE(rows.at(std::size_t{0}).at("fits").as_bool());
  const Json& qlora = rows.at(14);
  EXPECT_EQ(qlora.at("gpus").as_integer(), 1024);
  EXPECT_TRUE(qlora.at("fits").as_bool());
}

TEST(ClusterVerb, TheCardAndTheLinksAreOnesOwn) {
  const auto efficiency = [&](const std::string& options) {
    const std::string file = in_scratch("cluster.json");
    EXPECT_TRUE(run(kChapter + "cluster --model " QLORA_TINY_LLAMA " --max-length 128 --gpus 16 " +
                    options + " --json " + file)
                    .ok());
    const Json results = Json::read(file);
    const Json& row = results.at("rows").at(std::size_t{0});
    return std::pair(row.at("efficiency").as_number(), row.at("fits").as_bool());
  };
  const auto fast = efficiency("");
  EXPECT_LT(efficiency("--between 1").first, fast.first);
  EXPECT_LT(efficiency("--gpus-per-node 16 --within 1").first, fast.first);
  EXPECT_TRUE(fast.second);
  EXPECT_FALSE(efficiency("--card-memory 1MB").second);
}

TEST(ClusterVerb, NeedsOneModel) {
  EXPECT_EQ(run(kChapter + "cluster").exit_code, 2);
  EXPECT_EQ(run(kChapter + "cluster --model a --random-model llama-3.1-8b").exit_code, 2);
  EXPECT_EQ(run(kChapter + "cluster --model " + in_scratch("none")).exit_code, 3);
}

TEST(HeldOut, NeedsTheTexts) {
  const auto ended =
      run(kChapter + "held-out --wordnet " + in_scratch("none") + " --output " + in_scratch("o"));
  EXPECT_EQ(ended.exit_code, 3) << ended.output;
}

TEST(TrainIds, AreOfOneProcess) {
  std::ofstream(in_scratch("ids.json")) << R"({"input_ids": [[1, 5, 6]], "labels": [[1, 5, 6]]})";
  const auto ended =
      run(QLORA_BIN "/ch12_qlora_finetuning train --model " QLORA_TINY_LLAMA
                    " --device cpu --num-processes 2 --ids " +
          in_scratch("ids.json") + " --dump-gradients " + in_scratch("g") + " --max-steps 0");
  EXPECT_EQ(ended.exit_code, 2) << ended.output;
  EXPECT_NE(ended.output.find("--ids is one pass of one process"), std::string::npos)
      << ended.output;
}

}  // namespace
}  // namespace qlora
