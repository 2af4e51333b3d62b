#include "text/dataset.h"

#include <gtest/gtest.h>

#include <fstream>

#include "core/error.h"
#include "core/files.h"
#include "core/json.h"
#include "support/golden.h"

namespace qlora {
namespace {

using Kind = Example::Kind;

std::string problem_of(const std::string& text) {
  try {
    parse_dataset(text, "f.jsonl");
  } catch (const BadInput& e) {
    return e.what();
  }
  return "";
}

#define EXPECT_PROBLEM(text, expected) \
  EXPECT_NE(problem_of(text).find(expected), std::string::npos) << problem_of(text)

TEST(Dataset, ReadsEveryShape) {
  const auto rows = parse_dataset(
      R"({"prompt": "2+2=", "completion": "4", "id": 7}
{"instruction": "Add.", "input": "2 2", "output": "4"}
{"instruction": "Wave.", "output": "hi"}

{"text": "once"}
{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]})",
      "f");
  ASSERT_EQ(rows.size(), 5u);
  EXPECT_EQ(rows[0].kind, Kind::prompt_completion);
  EXPECT_EQ(rows[0].prompt, "2+2=");
  EXPECT_EQ(rows[0].completion, "4");
  EXPECT_EQ(rows[1].prompt, alpaca_prompt("Add.", "2 2"));
  EXPECT_EQ(rows[1].completion, "4");
  EXPECT_EQ(rows[2].prompt, alpaca_prompt("Wave.", ""));
  EXPECT_EQ(rows[3].kind, Kind::text);
  EXPECT_EQ(rows[3].completion, "once");
  EXPECT_EQ(rows[4].kind, Kind::messages);
  ASSERT_EQ(rows[4].messages.size(), 2u);
  EXPECT_EQ(rows[4].messages[1].role, "assistant");
  EXPECT_EQ(rows[4].messages[1].content, "a");
}

// tatsu-lab/stanford_alpaca, train.py, PROMPT_DICT
TEST(Dataset, AlpacaPrompts) {
  EXPECT_EQ(alpaca_prompt("I", "X"),
            "Below is an instruction that describes a task, paired with an input that provides "
            "further context. Write a response that appropriately completes the request.\n\n"
            "### Instruction:\nI\n\n### Input:\nX\n\n### Response:");
  EXPECT_EQ(alpaca_prompt("I", ""),
            "Below is an instruction that describes a task. Write a response that appropriately "
            "completes the request.\n\n### Instruction:\nI\n\n### Response:");
}

TEST(Dataset, InstructionText) {
  EXPECT_EQ(instruction_text("Add 2 and 2.", "4"),
            "### Instruction:\nAdd 2 and 2.\n\n### Response:\n4");
}

TEST(Dataset, LineEndsAndByteOrderMark) {
  EXPECT_EQ(
      parse_dataset("\xEF\xBB\xBF{\"text\": \"a\"}\r\n\r\n  {\"text\": \"b\"}\r\n", "f").size(),
      2u);
  EXPECT_EQ(parse_dataset("{\"text\": \"no line end\"}", "f").size(), 1u);
  EXPECT_EQ(parse_dataset("\n [{\"text\": \"a\"},\n {\"text\": \"b\"}]\n", "f").size(), 2u);
}

TEST(Dataset, MalformedLinesAreNamed) {
  EXPECT_PROBLEM("{\"text\": \"a\"}\n\n{\"text\": \n", "f.jsonl: line 3");
  EXPECT_PROBLEM("{\"text\": \"a\"} {\"text\": \"b\"}\n", "f.jsonl: line 1");
  EXPECT_PROBLEM("{\"text\": \"a\"}\n[1]\n", "f.jsonl: line 2: not a JSON object");
  EXPECT_PROBLEM("3\n", "line 1: not a JSON object");
  EXPECT_PROBLEM("{\"prompt\": \"a\"}", "line 1: \"completion\" is missing");
  EXPECT_PROBLEM("{\"completion\": \"a\"}", "line 1: \"prompt\" is missing");
  EXPECT_PROBLEM("{\"prompt\": \"a\", \"completion\": 4}", "\"completion\" is not a string");
  EXPECT_PROBLEM("{\"instruction\": \"a\"}", "\"output\" is missing");
  EXPECT_PROBLEM("{\"instruction\": \"a\", \"input\": 1, \"output\": \"b\"}",
                 "\"input\" is not a string");
  EXPECT_PROBLEM("{\"text\": null}", "none of the keys");
  EXPECT_PROBLEM("{\"prompt\": \"a\", \"completion\": null}", "\"completion\" is null, expected");
  EXPECT_PROBLEM("{\"messages\": [{\"role\": \"user\", \"content\": null}]}",
                 "line 1: \"content\" is null, expected a string");
  EXPECT_PROBLEM("{\"question\": \"a\", \"answer\": \"b\"}", "line 1: none of the keys of a row");
  EXPECT_PROBLEM("{\"messages\": []}", "\"messages\" is not a list");
  EXPECT_PROBLEM("{\"messages\": {\"role\": \"user\"}}", "\"messages\" is not a list");
  EXPECT_PROBLEM("{\"messages\": [3]}", "a message is not an object");
  EXPECT_PROBLEM("{\"messages\": [{\"role\": \"user\"}]}", "\"content\" is missing");
  EXPECT_PROBLEM("{\"messages\": [{\"role\": \"bot\", \"content\": \"\"}]}", "the role \"bot\"");
  EXPECT_PROBLEM("{\"text\": \"\xFF\"}", "line 1");
  EXPECT_PROBLEM("[{\"text\": \"a\"}, {\"txt\": \"b\"}]", "f.jsonl: [1]: none of the keys");
  EXPECT_PROBLEM("[{\"text\": \"a\"}", "f.jsonl");
  EXPECT_PROBLEM("", "no rows");
  EXPECT_PROBLEM("\n \n", "no rows");
  EXPECT_PROBLEM("[]", "no rows");
}

TEST(Dataset, ARowKnowsItsPlace) {
  const auto lines = parse_dataset("\n{\"text\": \"a\"}\n\n{\"text\": \"b\"}\n", "f");
  EXPECT_EQ(place_of(lines[0], 0), "line 2");
  EXPECT_EQ(place_of(lines[1], 1), "line 4");
  EXPECT_EQ(place_of(parse_dataset("[{\"text\": \"a\"}]", "f")[0], 0), "[0]");
  EXPECT_EQ(place_of(Example{}, 2), "row 3") << "made in memory";
}

TEST(Dataset, AFileThatIsNotThere) {
  EXPECT_THROW(read_dataset((testing::scratch() / "none.jsonl").string()), BadInput);
  std::ofstream(testing::scratch() / "empty.jsonl").flush();
  EXPECT_THROW(read_dataset((testing::scratch() / "empty.jsonl").string()), BadInput);
}

TEST(DatasetAssets, AlpacaFile) {
  SKIP_WITHOUT_ASSETS();
  const auto rows = read_dataset(testing::assets() + "/instructions/instruction-data-1100.json");
  EXPECT_EQ(rows.size(), 1100u);
  EXPECT_NE(rows[0].prompt.find("### Input:\nfreind --> friend\n\n### Response:"),
            std::string::npos);
}

TEST(DatasetAssets, OtherShapesAreRefusedOrRewritten) {
  SKIP_WITHOUT_ASSETS();
  const std::string gsm8k = testing::assets() + "/instructions/gsm8k_train_first500.jsonl";
  EXPECT_THROW(read_dataset(gsm8k), BadInput);
  std::ifstream lines(gsm8k);
  std::ofstream out(testing::scratch() / "gsm8k.jsonl");
  for (std::string line; std::getline(lines, line);) {
    const Json row = Json::parse(line, gsm8k);
    Json rewritten = Json::object();
    rewritten["prompt"] = row.at("question");
    rewritten["completion"] = row.at("answer");
    out << rewritten.dump() << '\n';
  }
  out.close();
  const auto rows = read_dataset((testing::scratch() / "gsm8k.jsonl").string());
  ASSERT_EQ(rows.size(), 500u);
  EXPECT_TRUE(rows[0].prompt.starts_with("Natalia sold clips"));
  EXPECT_NE(rows[0].completion.find("#### 72"), std::string::npos);
  // self-instruct: the outputs stand one level deeper
  EXPECT_THROW(read_dataset(testing::assets() + "/instructions/self_instruct_seed_tasks.jsonl"),
               BadInput);
}

}  // namespace
}  // namespace qlora
