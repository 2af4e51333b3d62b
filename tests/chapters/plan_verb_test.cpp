// `plan` through the command line.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "core/json.h"
#include "course/text.h"
#include "support/golden.h"
#include "support/matcher.h"
#include "support/process.h"

namespace qlora {
namespace {

using testing::in_scratch;
using testing::is_close;
using testing::scratch;

testing::Ended plan(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {QLORA_BIN "/ch09_memory_footprint", "plan"});
  return testing::run_process(arguments, scratch().string(), 60);
}

// The 3B shape, r=16 on all linears, 4 x 2,048 tokens on an H100, whether there is one or not.
testing::Ended plan_3b(const std::vector<std::string>& more, const std::string& json = "") {
  std::vector<std::string> arguments{"--random-model",
                                     "llama-3.2-3b",
                                     "--device",
                                     "cuda",
                                     "--card",
                                     "h100-80gb",
                                     "--r",
                                     "16",
                                     "--target-modules",
                                     "all-linear",
                                     "--per-device-train-batch-size",
                                     "4",
                                     "--max-length",
                                     "2048"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  if (!json.empty()) arguments.insert(arguments.end(), {"--json", json});
  return plan(arguments);
}

TEST(PlanVerb, PrintsMemoryFloorAndWhatFits) {
  const testing::Ended ended = plan_3b({"--max-memory", "80GiB"}, in_scratch("plan.json"));
  ASSERT_TRUE(ended.ok()) << ended.output;
  EXPECT_NE(ended.output.find("adapters, 24,313,856 parameters"), std::string::npos);
  EXPECT_NE(ended.output.find("in 80.0 GiB (--max-memory), 2,048 tokens a row"), std::string::npos);
  std::istringstream lines(ended.output);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(display_width(line), 100u) << line;

  const Json j = Json::read(in_scratch("plan.json"));
  const Json& memory = j.at("memory");
  std::int64_t sum = 0;
  for (const Json& part : memory.at("parts").as_array()) sum += part.at("bytes").as_integer();
  EXPECT_EQ(sum, memory.at("total").as_integer());
  EXPECT_EQ(memory.at("resident").as_integer() + memory.at("arena").as_integer(), sum);
  EXPECT_EQ(memory.at("program").as_integer(), 0);  // of the host
  // 38,800 is published to the next hundred.
  EXPECT_TRUE(is_close(j.at("floor").at("tokens_per_second").as_number(), 38800, 50));
  const auto& fits = j.at("fits").as_array();
  ASSERT_EQ(fits.size(), 4u);
  EXPECT_EQ(fits[0].at("activations").as_string(), "keep");
  EXPECT_GT(fits[0].at("largest_batch").as_integer(), 4);
}

std::int64_t total_of(const std::vector<std::string>& options) {
  const std::string path = in_scratch("total.json");
  const testing::Ended ended = plan_3b(options, path);
  EXPECT_TRUE(ended.ok()) << ended.output;
  return Json::read(path).at("memory").at("total").as_integer();
}

TEST(PlanVerb, OptionsChangeThePlan) {
  const std::int64_t keep = total_of({});
  const std::int64_t checkpoint = total_of({"--gradient-checkpointing"});
  EXPECT_EQ(total_of({"--activations", "checkpoint"}), checkpoint);
  EXPECT_EQ(total_of({"--activations", "keep"}), keep);
  EXPECT_LT(checkpoint, keep);
  EXPECT_LT(total_of({"--activations", "offload"}), checkpoint);
  EXPECT_GT(total_of({"--quantize", "nf4"}), keep);   // block maxima in 32 bits
  EXPECT_GT(total_of({"--quantize", "none"}), keep);  // 16 bits a weight
  EXPECT_EQ(total_of({"--fp16"}), keep);
  EXPECT_LT(total_of({"--optim", "adamw_8bit"}), keep);
  EXPECT_EQ(total_of({"--optim", "paged_adamw_32bit"}), keep);
}

TEST(PlanVerb, RefusesWhatDoesNotFitOnceThePlanIsPrinted) {
  const testing::Ended ended = plan_3b({"--max-memory", "16GiB"});
  EXPECT_EQ(ended.exit_code, 4);
  EXPECT_NE(ended.output.find("together"), std::string::npos) << ended.output;
  EXPECT_NE(ended.output.find("16.0 GiB are there; these fit: --per-device-train-batch-size 3; "
                              "--activations lean"),
            std::string::npos)
      << ended.output;
  for (const char* size : {"17179869184", "16384MiB", "17.179869184GB"}) {
    EXPECT_EQ(plan_3b({"--max-memory", size}).exit_code, 4) << size;
  }
}

TEST(PlanVerb, SizesAndContradictionsAreUsage) {
  for (const char* size : {"16 GiB", "16Gib", "-1", "0", "nan", "GiB", "2048TiB", "1e999"}) {
    EXPECT_EQ(plan_3b({"--max-memory=" + std::string(size)}).exit_code, 2) << size;
  }
  EXPECT_EQ(plan_3b({"--gradient-checkpointing", "--activations", "lean"}).exit_code, 2);
  EXPECT_EQ(plan_3b({"--rates", "725,501"}).exit_code, 2);
}

// A card of 7.5 multiplies no bfloat16.
TEST(PlanVerb, OfAnOlderCardIsInFloat16) {
  const auto on = [](const std::string& capability, const std::vector<std::string>& more) {
    std::vector<std::string> words{"--compute-capability", capability};
    words.insert(words.end(), more.begin(), more.end());
    return plan_3b(words);
  };
  const auto says = [](const testing::Ended& ended, const char* part) {
    return ended.output.find(part) != std::string::npos;
  };
  EXPECT_TRUE(says(on("7.5", {}), "arithmetic in float16"));
  EXPECT_TRUE(says(on("8.0", {}), "arithmetic in bfloat16"));
  EXPECT_TRUE(says(on("12.0", {"--torch-dtype", "auto"}), "arithmetic in bfloat16"));
  for (const auto& asked :
       {std::vector<std::string>{"--bf16"}, {"--torch-dtype", "torch.bfloat16"}}) {
    const testing::Ended ended = on("7.5", asked);
    EXPECT_EQ(ended.exit_code, 4);
    EXPECT_TRUE(says(ended, " has no bfloat16 arithmetic; --fp16 or --dtype float32 works"))
        << ended.output;
  }
  for (const char* none : {"7.0", "99.0", "9.9"}) EXPECT_EQ(on(none, {}).exit_code, 2) << none;
}

TEST(PlanVerb, WithoutRatesItSaysHowToGiveThem) {
  const testing::Ended ended = plan({"--random-model", "llama-3.2-1b", "--device", "cuda", "--card",
                                     "h100-80gb", "--rates", "100,50,40,1"});
  EXPECT_TRUE(ended.ok());
  EXPECT_NE(ended.output.find("tokens/s, at the rates of --rates"), std::string::npos);
  const testing::Ended unknown = plan_3b({"--dtype", "float32"});  // which was not measured
  EXPECT_TRUE(unknown.ok()) << unknown.output;
  EXPECT_NE(unknown.output.find("no rates are known of NVIDIA H100 80GB HBM3 in float32"),
            std::string::npos)
      << unknown.output;
  EXPECT_EQ(unknown.output.find("tokens/s, at"), std::string::npos);
}

// Beside what the system measures, above a process that only prints its help.
TEST(PlanVerb, IsWhatARunOnTheCpuTakes) {
  const std::string program = QLORA_BIN "/ch12_qlora_finetuning";
  const auto run = [](const std::vector<std::string>& arguments) {
    return testing::run_process(arguments, scratch().string(), 120);
  };
  const testing::Ended idle = run({program, "--help"});
  ASSERT_TRUE(idle.ok()) << idle.output;
  for (const char* policy : {"keep", "lean", "checkpoint"}) {
    std::string shape = " --model " QLORA_TINY_LLAMA
                        " --device cpu --r 16 --target-modules all-linear"
                        " --per-device-train-batch-size 16 --max-length 256 --activations ";
    shape += policy;
    const std::string out = in_scratch("out"), json = in_scratch("plan.json");
    std::string planned = "--json ";
    planned.append(json).append(shape);
    ASSERT_TRUE(plan(testing::shell_words(planned)).ok());
    std::string train = program;
    train
        .append(" train --data " QLORA_TINY_LLAMA "/../prices/train.jsonl --packing --max-steps 1 ")
        .append("--save-strategy no --output-dir ")
        .append(out)
        .append(shape);
    const testing::Ended ended = run(testing::shell_words(train));
    ASSERT_TRUE(ended.ok()) << ended.output;
    const auto total = static_cast<double>(Json::read(json).at("memory").at("total").as_integer());
    EXPECT_TRUE(is_close(static_cast<double>(ended.peak - idle.peak), total,
                         std::max(0.05 * total, 8.0 * (1 << 20))))
        << policy;
  }
}

TEST(PlanVerb, ConfigJsonAloneIsEnough) {
  const std::string folder = in_scratch("config-only");
  std::filesystem::create_directories(folder);
  std::filesystem::copy_file(QLORA_TINY_LLAMA "/config.json", folder + "/config.json");
  const testing::Ended ended = plan({"--model", folder, "--device", "cpu"});
  EXPECT_TRUE(ended.ok()) << ended.output;
  EXPECT_NE(ended.output.find("nf4 with double quantization, arithmetic in float32"),
            std::string::npos)
      << ended.output;
}

}  // namespace
}  // namespace qlora
