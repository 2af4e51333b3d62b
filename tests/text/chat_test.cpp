#include "text/chat.h"

#include <gtest/gtest.h>

#include <fstream>

#include "core/error.h"
#include "core/json.h"
#include "support/golden.h"
#include "text/embedded_tokenizer.h"

namespace qlora {
namespace {

using testing::scratch;

const ChatTemplate kLlama2{ChatTemplate::Kind::llama2};
const ChatTemplate kLlama3{ChatTemplate::Kind::llama3};
const ChatTemplate kLlama31{ChatTemplate::Kind::llama3_1, "26 Jul 2024"};

const std::vector<Message> kTwoTurns = {
    {"system", "Be brief."}, {"user", " Hi \n"}, {"assistant", "Hello. "}, {"user", "Bye"}};

TEST(RenderChat, JoinsTheLayoutsParts) {
  const std::vector<Message> question = {{"user", "q"}};
  EXPECT_EQ(render_chat(kLlama2, question), "<s>[INST] q [/INST]");
  EXPECT_EQ(render_chat(kLlama2, question, true), "<s>[INST] q [/INST]");
  const std::string user = "<|start_header_id|>user<|end_header_id|>\n\nq<|eot_id|>";
  EXPECT_EQ(render_chat(kLlama3, question), "<|begin_of_text|>" + user);
  EXPECT_EQ(render_chat(kLlama3, question, true),
            "<|begin_of_text|>" + user + "<|start_header_id|>assistant<|end_header_id|>\n\n");
  EXPECT_NE(render_chat(kLlama31, question).find("\nToday Date: 26 Jul 2024\n\n<|eot_id|>"),
            std::string::npos);
  EXPECT_THROW(render_chat({}, question), BadInput);
}

// meta-llama/llama, generation.py: each turn is encoded by itself, between BOS and EOS.
TEST(Llama2Chat, IdsAreThoseOfTheTurns) {
  const Tokenizer& t = testing::embedded_tokenizer();
  std::vector<std::int32_t> expected =
      t.encode("[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\n Hi [/INST] Hello. ",
               {.add_bos = true, .add_eos = true});
  for (const std::int32_t id : t.encode("[INST] Bye [/INST]")) expected.push_back(id);
  EXPECT_EQ(encode_chat(kLlama2, t, kTwoTurns), expected);
}

TEST(Llama2Chat, IdsOfLlama2) {
  SKIP_WITHOUT_ASSETS();
  const Tokenizer t = Tokenizer::load(testing::assets() + "/tokenizers/llama2");
  const std::vector<Message> turn = {{"system", "Be brief."}, {"user", "Hi"}};
  EXPECT_EQ(encode_chat(kLlama2, t, turn),
            (std::vector<std::int32_t>{1,    518,   25580, 29962, 3532,  14816, 29903, 6778,  13,
                                       3629, 11473, 29889, 13,    29966, 829,   14816, 29903, 6778,
                                       13,   13,    18567, 518,   29914, 25580, 29962}));
}

TEST(Llama3Chat, NeedsATokenizerWithItsSpecialTokens) {
  try {
    encode_chat(kLlama3, testing::embedded_tokenizer(), kTwoTurns);
    FAIL() << "encoded";
  } catch (const BadInput& e) {
    EXPECT_NE(std::string(e.what()).find("no token <|start_header_id|>"), std::string::npos)
        << e.what();
  }
}

// The expressions by which a template is known, as the published ones have them.
const std::string kMessages =
    "{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | "
    "trim + '<|eot_id|>' }}";
const std::string kDates =
    "{%- set date_string = \"26 July 2024\" %}"
    "{{- \"<|start_header_id|>system<|end_header_id|>\\n\\n\" }}"
    "{{- \"Cutting Knowledge Date: December 2023\\n\" }}"
    "{{- \"Today Date: \" + date_string + \"\\n\\n\" }}";

class ChatTemplateOf : public ::testing::Test {
 protected:
  ChatTemplate of_config(const Json& chat_template) {
    Json config = Json::object();
    config["chat_template"] = chat_template;
    std::ofstream(scratch() / "tokenizer_config.json") << config.dump();
    return chat_template_of(folder);
  }

  const std::string folder = scratch().string();
};

TEST_F(ChatTemplateOf, FindsLlama2s) {
  EXPECT_EQ(chat_template_of(folder).kind, ChatTemplate::Kind::none);
  EXPECT_EQ(of_config(Json()).kind, ChatTemplate::Kind::none);
  EXPECT_EQ(of_config("{{ '[INST] ' + '<<SYS>>' }}").kind, ChatTemplate::Kind::llama2);
  EXPECT_EQ(known_chat_template_of(folder).kind, ChatTemplate::Kind::llama2);
}

TEST_F(ChatTemplateOf, FindsLlama3sAndThatOfLlama32WithItsDate) {
  EXPECT_EQ(of_config(kMessages).kind, ChatTemplate::Kind::llama3);
  const ChatTemplate dated = of_config(kDates + "\n" + kMessages);
  EXPECT_EQ(dated.kind, ChatTemplate::Kind::llama3_1);
  EXPECT_EQ(dated.date_string, "26 July 2024");
}

TEST_F(ChatTemplateOf, TakesTheFileBeforeTheConfigurationAndOfSeveralTheDefault) {
  const auto entry = [](const char* name, const std::string& text) {
    Json json = Json::object();
    json["name"] = name;
    json["template"] = text;
    return json;
  };
  EXPECT_EQ(of_config(Json::Array{entry("tool_use", "other"), entry("default", kMessages)}).kind,
            ChatTemplate::Kind::llama3);
  EXPECT_EQ(of_config(Json::Array{entry("tool_use", "other")}).kind, ChatTemplate::Kind::none);
  std::ofstream(scratch() / "chat_template.jinja") << "[INST] <<SYS>>";
  EXPECT_EQ(chat_template_of(folder).kind, ChatTemplate::Kind::llama2);
}

TEST_F(ChatTemplateOf, RefusesOthers) {
  EXPECT_THROW(of_config("<|im_start|>"), BadInput);
  EXPECT_EQ(known_chat_template_of(folder).kind, ChatTemplate::Kind::none);
  EXPECT_THROW(of_config("<|start_header_id|>"), BadInput);
  EXPECT_THROW(of_config(3), BadInput);
  // A system message of other words, no date to fall back to, content as it is.
  EXPECT_THROW(of_config("{{ '<|start_header_id|>system<|end_header_id|>You are' }}" + kMessages),
               BadInput);
  const std::string set = "set date_string = ";
  std::string undated = kDates;
  undated.replace(undated.find(set), set.size(), "set today = ");
  EXPECT_THROW(of_config(undated + kMessages), BadInput);
  std::string untrimmed = kMessages;
  untrimmed.replace(untrimmed.find(" | trim"), 7, "");
  EXPECT_THROW(of_config(untrimmed), BadInput);
}

}  // namespace
}  // namespace qlora
