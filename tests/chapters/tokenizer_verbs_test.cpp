// encode, decode, render and train-tokenizer through the command line.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "core/files.h"
#include "core/json.h"
#include "support/golden.h"
#include "support/process.h"
#include "text/tokenizer.h"

namespace qlora {
namespace {

using testing::Ended;
using testing::in_scratch;
using testing::scratch;

const std::string kTinyBpe = QLORA_SOURCE_DIR "/data/tiny-bpe";
const std::string kPrices = QLORA_SOURCE_DIR "/data/prices/train.jsonl";

Ended run_verb(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), QLORA_BIN "/ch07_tokens_and_templates");
  return testing::run_process(arguments, scratch().string(), 60);
}

void expect_exit(int code, const std::string& says, std::vector<std::string> arguments) {
  const Ended ended = run_verb(std::move(arguments));
  EXPECT_EQ(ended.exit_code, code) << ended.output;
  EXPECT_NE(ended.output.find(says), std::string::npos) << ended.output;
}

// data/tiny-bpe/README.md has this command.
TEST(TrainTokenizerVerb, MakesTheSmallTokenizerAgain) {
  const Ended ended = run_verb(
      {"train-tokenizer", "--input", kPrices, "--vocab-size", "1024", "--special-tokens",
       "<|begin_of_text|>,<|end_of_text|>,<|start_header_id|>,<|end_header_id|>,<|eot_id|>",
       "--bos-token", "<|begin_of_text|>", "--output", in_scratch("tokenizer")});
  ASSERT_TRUE(ended.ok()) << ended.output;
  EXPECT_EQ(read_file(in_scratch("tokenizer/tokenizer.json")),
            read_file(kTinyBpe + "/tokenizer.json"));
}

TEST(TrainTokenizerVerb, RefusesWhatCannotBe) {
  const std::string text = in_scratch("text.txt");
  std::ofstream(text) << "a text";
  const std::string out = in_scratch("refused");
  expect_exit(2, "--vocab-size",
              {"train-tokenizer", "--input", text, "--vocab-size", "256", "--special-tokens", "<a>",
               "--output", out});
  expect_exit(2, "--bos-token",
              {"train-tokenizer", "--input", text, "--bos-token", "<a>", "--output", out});
  expect_exit(3, "nowhere.txt",
              {"train-tokenizer", "--input", in_scratch("nowhere.txt"), "--output", out});
  EXPECT_FALSE(std::filesystem::exists(out)) << "nothing is made of nothing";
}

TEST(EncodeVerb, WritesIdsThatDecodeReads) {
  const std::string rows = in_scratch("rows.jsonl"), ids = in_scratch("ids.json"),
                    texts = in_scratch("texts.jsonl");
  std::ofstream(rows) << R"({"text": "Price is $129"})" << "\n" << R"({"text": "naïve\ncafé"})";
  ASSERT_TRUE(run_verb({"encode", "--model", kTinyBpe, "--input", rows, "--output", ids}).ok());
  const Json json = Json::read(ids);
  ASSERT_EQ(json.at("input_ids").size(), 2u);
  const Tokenizer tokenizer = Tokenizer::load(kTinyBpe);
  const auto expected = tokenizer.encode("Price is $129");
  ASSERT_EQ(json.at("input_ids").at(0).size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(json.at("input_ids").at(0).at(i).as_integer(), expected[i]) << i;
  }
  ASSERT_TRUE(run_verb({"decode", "--model", kTinyBpe, "--ids", ids, "--output", texts}).ok());
  EXPECT_EQ(Json::parse(read_file(texts).substr(0, read_file(texts).find('\n')), texts)
                .at("text")
                .as_string(),
            "Price is $129");
  const Ended shown =
      run_verb({"decode", "--model", kTinyBpe, "--ids", ids, "--keep-special-tokens"});
  EXPECT_EQ(shown.output, "<|begin_of_text|>Price is $129\n<|begin_of_text|>naïve\ncafé\n");
}

TEST(EncodeVerb, SpecialTokensCanBeLeftOut) {
  const std::string ids = in_scratch("bare.json");
  ASSERT_TRUE(run_verb({"encode", "--model", kTinyBpe, "--text", "a", "--no-special-tokens",
                        "--output", ids})
                  .ok());
  EXPECT_EQ(Json::read(ids).at("input_ids").at(0).size(), 1u);
  expect_exit(2, "one of --text", {"encode", "--model", kTinyBpe, "--output", ids});
  std::ofstream(in_scratch("pairs.jsonl")) << "\n" << R"({"prompt": "a", "completion": "b"})";
  expect_exit(
      3, "pairs.jsonl: line 2: expected {\"text\"",
      {"encode", "--model", kTinyBpe, "--input", in_scratch("pairs.jsonl"), "--output", ids});
  std::ofstream(in_scratch("high.json")) << R"({"input_ids": [[1, 2000]]})";
  expect_exit(3, "input_ids[0][1]",
              {"decode", "--model", kTinyBpe, "--ids", in_scratch("high.json")});
}

TEST(RenderVerb, PrintsConversationsInTheModelsTemplate) {
  const std::string rows = in_scratch("chats.jsonl");
  std::ofstream(rows) << R"({"messages": [{"role": "user", "content": "Hi"}]})" << "\n"
                      << R"({"text": "### Human: a### Assistant: b### Human: c"})" << "\n";
  const Ended ended = run_verb({"render", "--model", kTinyBpe, "--input", rows,
                                "--add-generation-prompt", "--date-string", "1 May 2026"});
  const std::string head =
      "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: "
      "December 2023\nToday Date: 1 May 2026\n\n<|eot_id|><|start_header_id|>user<|end_header_id|>"
      "\n\n";
  const std::string answer = "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n";
  EXPECT_EQ(ended.output, head + "Hi" + answer + "\n" + head + "a" + answer + "b" + answer + "\n");
  std::ofstream(in_scratch("text.jsonl")) << R"({"text": "no conversation"})";
  expect_exit(3, "line 1", {"render", "--model", kTinyBpe, "--input", in_scratch("text.jsonl")});
  expect_exit(3, "chat template", {"render", "--model", QLORA_TINY_LLAMA, "--input", rows});
}

TEST(RenderVerb, WritesRowsThatTrainTakes) {
  const std::string rows = in_scratch("guanaco.jsonl"), out = in_scratch("rewritten.jsonl");
  std::ofstream(rows) << R"({"text": "### Human: a### Assistant: b### Human: c"})" << "\n";
  const std::string model = in_scratch("llama2");
  std::filesystem::create_directory(model);
  std::ofstream(model + "/chat_template.jinja") << "{{ '[INST] ' + '<<SYS>>' }}";
  const Ended ended = run_verb({"render", "--model", model, "--input", rows, "--output", out});
  ASSERT_TRUE(ended.ok()) << ended.output;
  EXPECT_EQ(ended.output, "") << "what is written is not printed";
  EXPECT_EQ(read_file(out), "{\"text\": \"<s>[INST] a [/INST] b </s>\"}\n");
}

TEST(EncodeVerb, PutsAroundATextWhatTheConfigurationSays) {
  const std::string model = in_scratch("eos"), ids = in_scratch("ids.json");
  std::filesystem::create_directory(model);
  std::filesystem::copy(QLORA_TINY_LLAMA "/tokenizer.model", model);
  std::ofstream(model + "/tokenizer_config.json")
      << R"({"add_bos_token": false, "add_eos_token": true})";
  const auto encoded = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"encode", "--model", model, "--text", "a", "--output", ids});
    EXPECT_TRUE(run_verb(more).ok());
    return Json::read(ids).at("input_ids").at(0).dump();
  };
  EXPECT_EQ(encoded({}), "[261, 2]");
  EXPECT_EQ(encoded({"--no-special-tokens"}), "[261]");
}

// The results of a verb, by --json.
Json results(std::vector<std::string> arguments) {
  const std::string file = in_scratch("results.json");
  arguments.insert(arguments.end(), {"--json", file});
  const Ended ended = run_verb(std::move(arguments));
  EXPECT_TRUE(ended.ok()) << ended.output;
  Json json = Json::read(file);
  EXPECT_NE(json.find("provenance"), nullptr);
  return json;
}

TEST(TokenizerVerbs, WriteTheirResultsAsJson) {
  const std::string rows = in_scratch("rows.jsonl"), ids = in_scratch("ids.json");
  std::ofstream(rows) << R"({"text": "### Human: a### Assistant: b"})" << "\n";
  const Json encoded =
      results({"encode", "--model", kTinyBpe, "--text", "a kettle", "--output", ids});
  EXPECT_EQ(encoded.at("rows").as_integer(), 1);
  EXPECT_EQ(encoded.at("tokens").as_integer(),
            std::ssize(Tokenizer::load(kTinyBpe).encode("a kettle")));
  const Json decoded = results({"decode", "--model", kTinyBpe, "--ids", ids});
  EXPECT_EQ(decoded.at("texts").dump(), "[\"a kettle\"]");
  const Json rendered = results({"render", "--model", kTinyBpe, "--input", rows});
  EXPECT_TRUE(rendered.at("texts").at(0).as_string().starts_with("<|begin_of_text|>"));
  const Json trained = results({"train-tokenizer", "--input", rows, "--vocab-size", "258",
                                "--output", in_scratch("vocabulary")});
  EXPECT_EQ(trained.at("vocab_size").as_integer(), 258);
  EXPECT_EQ(trained.at("merges").as_integer(), 2);
}

}  // namespace
}  // namespace qlora
