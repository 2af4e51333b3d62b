#include "text/guanaco.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "text/chat.h"

namespace qlora {
namespace {

const ChatTemplate kLlama2{ChatTemplate::Kind::llama2};

std::string converted(const char* text) {
  return render_chat(kLlama2, guanaco_messages(text));
}

TEST(Guanaco, TurnsBecomeMessages) {
  const auto messages = guanaco_messages("### Human: a b ### Assistant: c\n\nd");
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_EQ(messages[0].role, "user");
  EXPECT_EQ(messages[0].content, "a b");
  EXPECT_EQ(messages[1].role, "assistant");
  EXPECT_EQ(messages[1].content, "c\n\nd");
}

TEST(Guanaco, BecomesLlama2s) {
  EXPECT_EQ(converted("### Human: a### Assistant: b"), "<s>[INST] a [/INST] b </s>");
  EXPECT_EQ(converted("### Human: a### Assistant: b### Human: c### Assistant: d"),
            "<s>[INST] a [/INST] b </s><s>[INST] c [/INST] d </s>");
}

TEST(Guanaco, ALastQuestionWithoutAnAnswerIsLeftOut) {
  EXPECT_EQ(converted("### Human: a### Assistant: b### Human: Now explain it to a dog"),
            "<s>[INST] a [/INST] b </s>");
}

TEST(Guanaco, AMarkerMayBeBrokenOverALine) {
  EXPECT_EQ(converted("\n###\nHuman: a###\n Assistant: b"), "<s>[INST] a [/INST] b </s>");
  EXPECT_EQ(converted("###Human:a###Assistant:b"), "<s>[INST] a [/INST] b </s>");
}

TEST(Guanaco, OtherHeadingsAreContent) {
  EXPECT_EQ(converted("### Human: # a #### b### Assistant: ### c\n### Humans: d"),
            "<s>[INST] # a #### b [/INST] ### c\n### Humans: d </s>");
}

TEST(Guanaco, WhatIsNoneIsRefused) {
  EXPECT_FALSE(is_guanaco("Human: a"));
  EXPECT_FALSE(is_guanaco(""));
  EXPECT_FALSE(is_guanaco("###"));
  EXPECT_TRUE(is_guanaco(" ### Human: a"));
  EXPECT_THROW(guanaco_messages("hello ### Human: a"), BadInput);
  EXPECT_THROW(guanaco_messages(""), BadInput);
  EXPECT_THROW(guanaco_messages("### Human: a"), BadInput);
  EXPECT_THROW(guanaco_messages("### Assistant: a### Human: b"), BadInput);
  EXPECT_THROW(guanaco_messages("### Human: a### Human: b### Assistant: c"), BadInput);
}

TEST(Guanaco, RowsOfADataSetBecomeConversations) {
  std::vector<Example> rows = parse_dataset(R"({"text": "### Human: a### Assistant: b"}
{"text": "a text"}
{"prompt": "### Human: a### Assistant: b", "completion": "c"})",
                                            "f");
  EXPECT_EQ(guanaco_to_messages(rows, "f"), 1);
  ASSERT_EQ(rows[0].kind, Example::Kind::messages);
  EXPECT_EQ(render_chat(kLlama2, rows[0].messages), "<s>[INST] a [/INST] b </s>");
  EXPECT_EQ(rows[1].kind, Example::Kind::text);
  EXPECT_EQ(rows[2].kind, Example::Kind::prompt_completion);
  rows = parse_dataset("\n{\"text\": \"### Human: a\"}", "f");
  try {
    guanaco_to_messages(rows, "f");
    FAIL() << "accepted";
  } catch (const BadInput& e) {
    EXPECT_TRUE(std::string(e.what()).starts_with("f: line 2: ")) << e.what();
  }
}

}  // namespace
}  // namespace qlora
