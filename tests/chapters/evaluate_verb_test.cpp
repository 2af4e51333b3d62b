// `evaluate` through the command line: any JSONL, several adapters, and the course's project.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "checkpoint/peft_adapter.h"
#include "core/files.h"
#include "core/json.h"
#include "support/golden.h"
#include "support/matcher.h"
#include "support/process.h"
#include "text/examples.h"

namespace qlora {
namespace {

namespace fs = std::filesystem;
using testing::in_scratch;
using testing::is_close;
using testing::scratch;

const std::string kPrices = QLORA_SOURCE_DIR "/data/prices/";

testing::Ended run_program(const char* program, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), std::string(QLORA_BIN "/") + program);
  return testing::run_process(arguments, scratch().string(), 120);
}

std::string file(const std::string& name, const std::string& text) {
  std::ofstream(in_scratch(name)) << text;
  return in_scratch(name);
}

// A few steps of training on the first price items: an adapter that has learned to answer with
// numbers.
std::string trained(const std::string& name, int steps, const std::string& seed = "1") {
  const std::string line =
      QLORA_BIN "/ch12_qlora_finetuning train --model " QLORA_TINY_LLAMA " --data " + kPrices +
      "train.jsonl --output-dir " + in_scratch(name) + " --max-steps " + std::to_string(steps) +
      " --r 4 --target-modules all-linear --learning-rate 2e-3" +
      " --save-strategy no --device cpu --seed " + seed;
  const auto ended = testing::run_process(testing::shell_words(line), scratch().string(), 120);
  EXPECT_TRUE(ended.ok()) << ended.output;
  return in_scratch(name);
}

testing::Ended evaluate(const std::string& data, std::vector<std::string> more = {}) {
  std::vector<std::string> arguments = {"evaluate", "--model",  QLORA_TINY_LLAMA,     "--data",
                                        data,       "--report", in_scratch("report"), "--device",
                                        "cpu"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return run_program("ch14_evaluation", arguments);
}

Json report() {
  return Json::read(in_scratch("report/report.json"));
}

// The first n price items of a file.
std::string first_rows(const std::string& name, std::size_t n) {
  const std::string all = read_file(kPrices + name);
  std::size_t end = 0;
  for (std::size_t i = 0; i < n; ++i) end = all.find('\n', end) + 1;
  return file(name, all.substr(0, end));
}

const char* const kInstructions =
    R"({"instruction": "Name three primary colors.", "input": "", "output": "Red, blue and yellow."}
{"instruction": "Translate.", "input": "une lampe", "output": "A lamp."}
{"prompt": "What is a chair?", "completion": " Something to sit on, with 4 legs."}
{"text": "A lamp is a source of light."}
)";

// The rows of a file as `logits` takes them.
std::string ids_of(const std::string& data) {
  const Tokenizer tokenizer = Tokenizer::load(QLORA_TINY_LLAMA);
  std::vector<TokenizedExample> rows;
  std::size_t longest = 0;
  for (const Example& row : read_dataset(data)) {
    rows.push_back(tokenize_example(row, tokenizer));
    longest = std::max(longest, rows.back().input_ids.size());
  }
  Json ids = Json::array(), mask = Json::array(), labels = Json::array();
  for (const TokenizedExample& row : rows) {
    Json i = Json::array(), m = Json::array(), l = Json::array();
    for (std::size_t t = 0; t < longest; ++t) {
      const bool there = t < row.input_ids.size();
      i.push_back(Json(there ? row.input_ids[t] : 0));
      m.push_back(Json(there ? 1 : 0));
      l.push_back(Json(there ? row.labels[t] : kIgnoredLabel));
    }
    ids.push_back(std::move(i));
    mask.push_back(std::move(m));
    labels.push_back(std::move(l));
  }
  Json batch = Json::object();
  batch["input_ids"] = std::move(ids);
  batch["attention_mask"] = std::move(mask);
  batch["labels"] = std::move(labels);
  return file("ids.json", batch.dump());
}

double loss_by_logits(const std::string& ids, const std::vector<std::string>& more) {
  std::vector<std::string> arguments = {"logits",
                                        "--model",
                                        QLORA_TINY_LLAMA,
                                        "--ids",
                                        ids,
                                        "--output",
                                        in_scratch("logits"),
                                        "--json",
                                        in_scratch("logits.json"),
                                        "--device",
                                        "cpu"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  const testing::Ended ended = run_program("ch08_llama_decoder", arguments);
  EXPECT_TRUE(ended.ok()) << ended.output;
  return Json::read(in_scratch("logits.json")).at("loss").as_number();
}

// Both are sums in double of losses in float32; the batches have other shapes.
constexpr double kFloats = 1e-5;

TEST(EvaluateVerb, LossIsThatOfLogits) {
  const std::string data = file("rows.jsonl", kInstructions), adapter = trained("a", 3);
  const testing::Ended ended = evaluate(data, {"--adapter", adapter});
  ASSERT_TRUE(ended.ok()) << ended.output;
  const std::string ids = ids_of(data);
  const double base = report().at("base").at("loss").as_number();
  const double tuned = report().at("tuned").at("loss").as_number();
  EXPECT_TRUE(is_close(base, loss_by_logits(ids, {}), 0.0, kFloats));
  EXPECT_TRUE(is_close(tuned, loss_by_logits(ids, {"--adapter", adapter}), 0.0, kFloats));
  EXPECT_TRUE(
      is_close(report().at("comparison").at("loss_difference").as_number(), tuned - base, 1e-9));
}

// One row alone: which columns are outliers depends on all rows of a batch.
TEST(EvaluateVerb, LossOfAnInt8BaseIsThatOfLogits) {
  const std::string data = file("row.jsonl", R"({"text": "A lamp is a source of light."})");
  const testing::Ended ended = evaluate(data, {"--quantize", "int8"});
  ASSERT_TRUE(ended.ok()) << ended.output;
  const double loss = report().at("base").at("loss").as_number();
  const std::string ids = ids_of(data);
  EXPECT_TRUE(is_close(loss, loss_by_logits(ids, {"--quantize", "int8"}), 0.0, kFloats));
  EXPECT_FALSE(is_close(loss, loss_by_logits(ids, {}), 0.0, kFloats));
}

TEST(EvaluateVerb, TakesRowsWithoutPrices) {
  const testing::Ended ended = evaluate(file("rows.jsonl", kInstructions));
  ASSERT_TRUE(ended.ok()) << ended.output;
  EXPECT_NE(ended.output.find("4 rows, "), std::string::npos) << ended.output;
  EXPECT_NE(ended.output.find("no errors in dollars: line 1 is no prompt with a price"),
            std::string::npos)
      << ended.output;
  const Json json = report();
  EXPECT_EQ(json.at("items").as_integer(), 4);
  EXPECT_EQ(json.at("no_prices").as_string(), "line 1 is no prompt with a price as its completion");
  const Json& base = json.at("base");
  EXPECT_LT(base.at("loss_ci95").at(std::size_t{0}).as_number(), base.at("loss").as_number());
  EXPECT_GT(base.at("perplexity_ci95").at(std::size_t{1}).as_number(),
            base.at("perplexity").as_number());
  EXPECT_EQ(base.find("mae"), nullptr);
  EXPECT_EQ(json.find("tuned"), nullptr);
  EXPECT_EQ(json.find("comparison"), nullptr);
  ASSERT_EQ(json.at("spoken").size(), 3u) << "a text asks nothing";
  EXPECT_EQ(json.at("spoken").at(std::size_t{1}).at("expected").as_string(), "A lamp.");
}

TEST(EvaluateVerb, MeasuresEachOfSeveralAdapters) {
  const std::string one = trained("one", 3), two = trained("two", 3, "2");
  const std::string data = file("rows.jsonl", kInstructions);
  const testing::Ended ended = evaluate(data, {"--adapter", one, "--adapter", two});
  ASSERT_TRUE(ended.ok()) << ended.output;
  const Json both = report();
  ASSERT_EQ(both.at("adapters").size(), 2u);
  for (const std::size_t i : {0u, 1u}) {
    const std::string& folder = i == 0 ? one : two;
    ASSERT_TRUE(evaluate(data, {"--adapter", folder}).ok());
    const Json& alone = both.at("adapters").at(i);
    EXPECT_EQ(alone.at("adapter").as_string(), folder);
    EXPECT_EQ(alone.at("loss").as_number(), report().at("tuned").at("loss").as_number());
    EXPECT_EQ(alone.at("comparison").at("loss_difference").as_number(),
              report().at("comparison").at("loss_difference").as_number());
    EXPECT_NE(alone.at("loss").as_number(), both.at("tuned").at("loss").as_number());
    EXPECT_EQ(report().find("adapters"), nullptr);
  }
}

TEST(EvaluateVerb, SaysInOneLineWhatIsWrong) {
  const std::string good = file("rows.jsonl", kInstructions);
  const std::string other = testing::golden("qlora/adapter_nonzero");
  const auto fails = [](const testing::Ended& ended, const std::string& part) {
    EXPECT_EQ(ended.exit_code, 3) << ended.output;
    const std::size_t at = ended.output.find("ch14_evaluation: ");
    ASSERT_NE(at, std::string::npos) << ended.output;
    EXPECT_EQ(ended.output.find('\n', at), ended.output.size() - 1) << ended.output;
    EXPECT_NE(ended.output.find(part, at), std::string::npos) << ended.output;
  };
  fails(evaluate(in_scratch("not-there.jsonl")), "not-there.jsonl");
  fails(evaluate(file("empty.jsonl", "\n")), "empty.jsonl: no rows");
  fails(evaluate(file("key.jsonl", "{\"text\": \"a\"}\n{\"question\": \"b\"}\n")),
        "key.jsonl: line 2: none of the keys");
  fails(evaluate(file("bad.jsonl", "{\"text\": \"a\"\n")), "bad.jsonl: line 1");
  std::string long_prompt;  // beyond the 512 positions of the model: nothing is left of the answer
  for (int i = 0; i < 600; ++i) long_prompt += "lamp ";
  fails(evaluate(file("long.jsonl", R"({"prompt": ")" + long_prompt + R"(", "completion": "5"})")),
        "long.jsonl: no row has a token that the loss sees");
  fails(evaluate(good, {"--train-data", kPrices + "train.jsonl"}),
        "rows.jsonl: line 1 is no prompt with a price as its completion: --train-data compares "
        "prices");
  fails(evaluate(first_rows("test.jsonl", 2), {"--train-data", good}),
        "rows.jsonl: line 1: no price");
  fails(evaluate(good, {"--adapter", in_scratch("no-adapter")}), "no-adapter");
  fails(evaluate(good, {"--adapter", other}), other);
}

// An adapter of 30 steps beside its base, in NF4, on items that nobody has seen.
TEST(EvaluateVerb, PutsBaseBesideTunedOnHeldOutItems) {
  ASSERT_TRUE(run_program("ch14_evaluation", {"items", "--seed", "9", "--count", "40", "--output",
                                              in_scratch("held-out.jsonl")})
                  .ok());
  const testing::Ended ended =
      evaluate(in_scratch("held-out.jsonl"),
               {"--adapter", trained("a", 30), "--train-data", kPrices + "train.jsonl",
                "--quantize", "nf4", "--double-quant"});
  ASSERT_TRUE(ended.ok()) << ended.output;
  const Json json = report();
  const Json &base = json.at("base"), &tuned = json.at("tuned"),
             &difference = json.at("comparison");
  EXPECT_LT(tuned.at("loss").as_number(), 0.6 * base.at("loss").as_number());
  EXPECT_LT(difference.at("loss_difference_ci95").at(std::size_t{1}).as_number(), 0.0);
  EXPECT_TRUE(is_close(difference.at("mae_difference").as_number(),
                       tuned.at("mae").as_number() - base.at("mae").as_number(), 1e-9));
  EXPECT_GT(difference.at("loss_lower").as_number(), 0.9);
  EXPECT_TRUE(json.at("no_prices").is_null());
  for (const char* yardstick : {"median_predictor", "mean_predictor", "category_mean",
                                "nearest_neighbour", "noise_floor"}) {
    EXPECT_GT(json.at(yardstick).at("mae").as_number(), 0.0) << yardstick;
  }
  EXPECT_EQ(json.at("base_format").as_string(), "nf4 with double quantization");
  const std::string markdown = read_file(in_scratch("report/report.md"));
  EXPECT_NE(markdown.find("## Against the base, item by item"), std::string::npos) << markdown;
}

// The course's project: a data set, a configuration, three epochs, a held-out test set, the base
// beside it.
TEST(EvaluateVerb, TheProjectEndToEnd) {
  const std::string configuration = file("run.json", R"({"num_train_epochs": 3, "r": 8,
    "lora_alpha": 16, "target_modules": "all-linear", "learning_rate": 2e-3, "save_strategy": "no",
    "per_device_train_batch_size": 8, "seed": 1})");
  const testing::Ended trained = run_program(
      "ch12_qlora_finetuning",
      {"train", "--model", QLORA_TINY_LLAMA, "--data", first_rows("train.jsonl", 48), "--config",
       configuration, "--output-dir", in_scratch("adapter"), "--device", "cpu"});
  ASSERT_TRUE(trained.ok()) << trained.output;
  EXPECT_EQ(Json::read(in_scratch("adapter/trainer_state.json")).at("epoch").as_number(), 3.0);
  ASSERT_TRUE(evaluate(first_rows("test.jsonl", 20), {"--adapter", in_scratch("adapter")}).ok());
  EXPECT_LT(report().at("tuned").at("loss").as_number(),
            report().at("base").at("loss").as_number());
}

// Training script, adapter, report: the first makes the second again, and the second the third.
TEST(EvaluateVerb, TheDeliverablesCanBeUsed) {
  const std::string adapter = trained("adapter", 3), items = first_rows("test.jsonl", 10);
  ASSERT_TRUE(evaluate(items, {"--adapter", adapter}).ok());
  const Json first = report();
  EXPECT_EQ(read_file(trained("again", 3) + "/adapter_model.safetensors"),
            read_file(adapter + "/adapter_model.safetensors"));
  EXPECT_EQ(read_adapter(adapter).config.r, 4);
  const std::string command = first.at("command").as_string();
  ASSERT_TRUE(testing::run_process(testing::shell_words(command), scratch().string(), 120).ok());
  for (const char* model : {"base", "tuned"}) {
    EXPECT_EQ(report().at(model).dump(), first.at(model).dump()) << model;
  }
}

}  // namespace
}  // namespace qlora
