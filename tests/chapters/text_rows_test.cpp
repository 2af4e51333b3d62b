// Rows that are conversations, as messages and as text, and fresh price items, through the command
// line.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "core/json.h"
#include "support/golden.h"
#include "support/process.h"
#include "text/tokenizer.h"

namespace qlora {
namespace {

namespace fs = std::filesystem;
using testing::Ended;
using testing::in_scratch;
using testing::scratch;

Ended run_program(const char* program, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), std::string(QLORA_BIN "/") + program);
  return testing::run_process(arguments, scratch().string(), 120);
}

std::string file(const std::string& name, const std::string& text) {
  std::ofstream(in_scratch(name)) << text;
  return in_scratch(name);
}

// The embedded model with Llama 2's chat template beside it.
std::string talking() {
  const fs::path folder = scratch() / "talking";
  fs::copy(QLORA_TINY_LLAMA, folder);
  std::ofstream(folder / "chat_template.jinja") << "{{ '[INST] ' + '<<SYS>>' }}";
  return folder.string();
}

Ended evaluate(const std::string& model, const std::string& data) {
  return run_program("ch14_evaluation", {"evaluate", "--model", model, "--data", data, "--report",
                                         in_scratch("report"), "--device", "cpu"});
}

Json report_of_run() {
  return Json::read(in_scratch("report/report.json"));
}

const char* const kGuanaco = R"({"text": "### Human: What is a lamp?### Assistant: A light."})";
const char* const kMessages =
    R"([{"messages": [{"role": "user", "content": "What is a lamp?"},
                      {"role": "assistant", "content": "A light."}]}])";
const char* const kConverted = "1 texts of \"### Human: …\" are conversations";

TEST(EvaluateVerb, TakesConversations) {
  const std::string data = file("talk.json", kMessages);
  const Ended ended = evaluate(talking(), data);
  ASSERT_TRUE(ended.ok()) << ended.output;
  const Json report = report_of_run();
  const Json& spoken = report.at("spoken").at(std::size_t{0});
  EXPECT_EQ(spoken.at("prompt").as_string(), "What is a lamp?");
  EXPECT_EQ(spoken.at("expected").as_string(), "A light.");
  const Ended without = evaluate(QLORA_TINY_LLAMA, data);
  EXPECT_EQ(without.exit_code, 3);
  EXPECT_NE(without.output.find("talk.json: [0]: "), std::string::npos) << without.output;
}

TEST(TextRows, OfGuanacoAreConversations) {
  const std::string model = talking(), data = file("guanaco.jsonl", kGuanaco);
  const Ended ended = evaluate(model, data);
  ASSERT_TRUE(ended.ok()) << ended.output;
  EXPECT_NE(ended.output.find(kConverted), std::string::npos) << ended.output;
  const Json first = report_of_run();
  EXPECT_EQ(first.at("spoken").at(std::size_t{0}).at("expected").as_string(), "A light.");
  ASSERT_TRUE(evaluate(model, file("messages.json", kMessages)).ok());
  EXPECT_EQ(report_of_run().at("base").at("loss").as_number(),
            first.at("base").at("loss").as_number());
  const Ended trained = run_program("ch12_qlora_finetuning",
                                    {"train", "--model", model, "--data", data, "--max-steps", "1",
                                     "--device", "cpu", "--output-dir", in_scratch("adapter")});
  ASSERT_TRUE(trained.ok()) << trained.output;
  EXPECT_NE(trained.output.find(kConverted), std::string::npos) << trained.output;
}

TEST(TextRows, OfGuanacoStayTextsWithoutATemplateOfLlama2) {
  const Ended ended = evaluate(QLORA_TINY_LLAMA, file("guanaco.jsonl", kGuanaco));
  ASSERT_TRUE(ended.ok()) << ended.output;
  EXPECT_EQ(ended.output.find("conversations"), std::string::npos) << ended.output;
  const std::string model = talking();  // a template that is not known hinders no text
  std::ofstream(model + "/chat_template.jinja") << "{{ messages }}";
  const Ended other = evaluate(model, in_scratch("guanaco.jsonl"));
  EXPECT_TRUE(other.ok()) << other.output;
}

TEST(TextRows, ThatAreRenderedNameTheirSpecialTokens) {
  const std::string text = "<s>[INST] What is a lamp? [/INST] A light. </s>";
  const Ended ended =
      evaluate(QLORA_TINY_LLAMA, file("rendered.jsonl", R"({"text": ")" + text + "\"}"));
  ASSERT_TRUE(ended.ok()) << ended.output;
  const auto tokens = std::ssize(Tokenizer::load(QLORA_TINY_LLAMA).encode_rendered(text));
  const std::string said = "1 rows, " + std::to_string(tokens) + " tokens, " +
                           std::to_string(tokens - 1) + " of them with a label";
  EXPECT_NE(ended.output.find(said), std::string::npos) << ended.output;
}

TEST(ItemsVerb, DrawsNoMoreThanThereAre) {
  const auto items = [](const std::string& count) {
    return run_program("ch14_evaluation",
                       {"items", "--seed", "9", "--count", count, "--output",
                        in_scratch("items.jsonl"), "--json", in_scratch("items.json")});
  };
  const Ended many = items("100000000");
  EXPECT_EQ(many.exit_code, 2) << many.output;
  EXPECT_NE(many.output.find("--count: must be 1 to 10000000"), std::string::npos) << many.output;
  ASSERT_TRUE(items("3").ok());
  EXPECT_EQ(Json::read(in_scratch("items.json")).at("items").as_integer(), 3);
}

}  // namespace
}  // namespace qlora
