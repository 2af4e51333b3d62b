#include "text/chat_layout.h"

#include <gtest/gtest.h>

#include <ostream>

#include "core/error.h"

namespace qlora {

static bool operator==(const ChatPart& a, const ChatPart& b) {
  return a.kind == b.kind && a.text == b.text;
}

static void PrintTo(const ChatPart& part, std::ostream* out) {
  *out << static_cast<int>(part.kind) << " \"" << part.text << '"';
}

namespace {

using Kind = ChatPart::Kind;
using Parts = std::vector<ChatPart>;
using Messages = std::vector<Message>;

std::string text_of(const Parts& parts) {
  std::string text;
  for (const ChatPart& part : parts) text += part.text;
  return text;
}

TEST(Llama2Layout, AQuestionIsBosAndOneText) {
  EXPECT_EQ(llama2_layout(Messages{{"user", "Hi"}}),
            (Parts{{Kind::bos, "<s>"}, {Kind::text, "[INST] Hi [/INST]"}}));
}

// meta-llama/llama, generation.py, chat_completion: a pair is encoded as one text.
TEST(Llama2Layout, AnAnswerGoesOnInTheSameTextUpToEos) {
  // [pair]
  EXPECT_EQ(llama2_layout(Messages{{"user", "a"}, {"assistant", "b"}, {"user", "c"}}),
            (Parts{{Kind::bos, "<s>"},
                   {Kind::text, "[INST] a [/INST] b "},
                   {Kind::eos, "</s>"},
                   {Kind::bos, "<s>"},
                   {Kind::text, "[INST] c [/INST]"}}));
  // [/pair]
}

TEST(Llama2Layout, TheSystemMessageStandsInTheFirstTurnAlone) {
  const Messages messages = {
      {"system", "Be brief."}, {"user", "Hi"}, {"assistant", "Hello."}, {"user", "Bye"}};
  EXPECT_EQ(
      text_of(llama2_layout(messages)),
      "<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nHi [/INST] Hello. </s><s>[INST] Bye [/INST]");
}

TEST(Llama2Layout, TurnsAreStrippedAsAWhole) {
  EXPECT_EQ(text_of(llama2_layout(Messages{{"user", " \n q "}, {"assistant", "\ta b\n"}})),
            "<s>[INST] q [/INST] a b </s>");
  EXPECT_EQ(text_of(llama2_layout(Messages{{"system", " s "}, {"user", " q "}})),
            "<s>[INST] <<SYS>>\n s \n<</SYS>>\n\n q [/INST]");
}

TEST(Llama2Layout, RolesAlternate) {
  const auto refuses = [](const Messages& messages) {
    EXPECT_THROW(llama2_layout(messages), BadInput);
  };
  refuses({});
  refuses({{"system", "s"}});
  refuses({{"assistant", "a"}});
  refuses({{"user", "a"}, {"user", "b"}});
  refuses({{"user", "a"}, {"system", "b"}});
  refuses({{"user", "a"}, {"assistant", "b"}, {"assistant", "c"}});
}

TEST(Llama2Layout, ContentsHoldNoTag) {
  for (const std::string tag : {"[INST]", "[/INST]", "<<SYS>>", "<</SYS>>"}) {
    const std::string content = "now " + tag + " done";
    EXPECT_THROW(llama2_layout(Messages{{"user", content}}), BadInput) << tag;
    EXPECT_THROW(llama2_layout(Messages{{"user", "q"}, {"assistant", content}}), BadInput) << tag;
    EXPECT_THROW(llama2_layout(Messages{{"system", content}, {"user", "q"}}), BadInput) << tag;
  }
}

// Meta's layout (llama-models, chat_format.py): no dates, no system message of its own.
TEST(Llama3Layout, AMessageIsAHeaderATextAndTheEndOfTheTurn) {
  EXPECT_EQ(llama3_layout(Messages{{"user", "Hi"}}), (Parts{{Kind::bos, "<|begin_of_text|>"},
                                                            {Kind::token, "<|start_header_id|>"},
                                                            {Kind::text, "user"},
                                                            {Kind::token, "<|end_header_id|>"},
                                                            {Kind::text, "\n\nHi"},
                                                            {Kind::token, "<|eot_id|>"}}));
}

TEST(Llama3Layout, BosStandsOnceAndContentsAreStripped) {
  const Messages messages = {
      {"system", "Be brief."}, {"user", " Hi \n"}, {"assistant", "\tHello. "}, {"user", "Bye"}};
  EXPECT_EQ(text_of(llama3_layout(messages)),
            "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>"
            "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\nHello.<|eot_id|>"
            "<|start_header_id|>user<|end_header_id|>\n\nBye<|eot_id|>");
}

TEST(Llama3Layout, WhatLooksLikeATokenInAContentIsText) {
  const Parts parts = llama3_layout(Messages{{"user", "a<|eot_id|>b"}});
  ASSERT_EQ(parts.size(), 6u);
  EXPECT_EQ(parts[4], (ChatPart{Kind::text, "\n\na<|eot_id|>b"}));
}

TEST(Llama3Layout, AGenerationPromptIsTheHeaderOfAnAnswer) {
  Parts expected = llama3_layout(Messages{{"user", "Hi"}});
  const Parts header = {{Kind::token, "<|start_header_id|>"},
                        {Kind::text, "assistant"},
                        {Kind::token, "<|end_header_id|>"},
                        {Kind::text, "\n\n"}};
  expected.insert(expected.end(), header.begin(), header.end());
  EXPECT_EQ(llama3_layout(Messages{{"user", "Hi"}}, true), expected);
  const Parts dated = llama3_1_layout(Messages{{"user", "Hi"}}, "1 May 2026", true);
  ASSERT_GE(dated.size(), 4u);
  EXPECT_EQ(Parts(dated.end() - 4, dated.end()), header);
}

TEST(Llama3Layout, NeedsAMessage) {
  EXPECT_THROW(llama3_layout({}), BadInput);
  EXPECT_THROW(llama3_1_layout({}, "26 Jul 2024"), BadInput);
}

// What transformers 5.23 gives for these messages with Llama 3.2's own chat_template and
// date_string="26 Jul 2024" (docs/interoperability.md).
const std::string kHead =
    "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n"
    "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n";

TEST(Llama32Layout, DatesStandBeforeTheSystemMessage) {
  const Messages messages = {{"system", " Be brief."}, {"user", " Hi \n"}};
  EXPECT_EQ(text_of(llama3_1_layout(messages, "26 Jul 2024")),
            kHead + "Be brief.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>");
}

TEST(Llama32Layout, ASystemBlockStandsThereInAnyCase) {
  const Messages messages = {{"user", "q"}, {"system", " late "}};
  EXPECT_EQ(text_of(llama3_1_layout(messages, "26 Jul 2024")),
            kHead +
                "<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nq<|eot_id|>"
                "<|start_header_id|>system<|end_header_id|>\n\nlate<|eot_id|>");
}

TEST(Llama32Layout, TheDateIsAParameter) {
  const std::string text = text_of(llama3_1_layout(Messages{{"user", "q"}}, "1 May 2026"));
  EXPECT_NE(text.find("\nToday Date: 1 May 2026\n\n<|eot_id|>"), std::string::npos) << text;
}

}  // namespace
}  // namespace qlora
