// Chapter 7's claims, and what its lesson says about the vocabularies of the tree.
#include <gtest/gtest.h>

#include "07_tokens_and_templates/claims.h"
#include "chapters/chapter_claims.h"
#include "core/error.h"
#include "text/chat.h"
#include "text/tokenizer.h"

namespace qlora::chapter07 {
namespace {

constexpr testing::ChapterClaims<CourseInputs> kClaims{"07_tokens_and_templates"};

TEST(Chapter07, AllClaimsHold) {
  EXPECT_NO_THROW(kClaims.ledger().check());
}

TEST(Chapter07, TheVocabularyFollowsItsSize) {
  kClaims.expect_follow({"TK-01", "TK-02", "TK-06", "TK-07"},
                        [](CourseInputs& in) { in.byte_pair_tokens = 32000; });
  kClaims.expect_follow({"TK-06"}, [](CourseInputs& in) { in.hidden = 2048; });
  kClaims.expect_follow({"TK-07"}, [](CourseInputs& in) { in.padding = "<|eot_id|>"; });
}

TEST(Chapter07, OneHotVectorsFollowTheirIndex) {
  kClaims.expect_follow({"TK-03"}, [](CourseInputs& in) { in.and_index = 3; });
  kClaims.expect_follow({"TK-04"}, [](CourseInputs& in) { in.yes_index = 3; });
  kClaims.expect_follow({"TK-05"}, [](CourseInputs& in) { in.table_rows = 100; });
  kClaims.expect_follow({"TK-05"}, [](CourseInputs& in) { in.table_width = 32; });
}

TEST(Chapter07, TemplatesFollowTheirWords) {
  kClaims.expect_follow({"TK-08"}, [](CourseInputs& in) { in.system = "Be brief."; });
  kClaims.expect_follow({"TK-08"}, [](CourseInputs& in) { in.answer = "No."; });
  kClaims.expect_follow({"TK-10", "TK-11"}, [](CourseInputs& in) {
    in.guanaco = "### Human: a### Assistant: b### Human: c### Assistant: d";
  });
  kClaims.expect_follow({"TK-12"}, [](CourseInputs& in) { in.guanaco_rows = 10; });
  kClaims.expect_follow({"TK-13"}, [](CourseInputs& in) { in.instruction = "Add."; });
}

TEST(Chapter07, AWrongInputFails) {
  CourseInputs inputs;
  inputs.llama2_text = "<ss>" + inputs.llama2_text.substr(3);
  EXPECT_THROW(kClaims.ledger(inputs).check(), Error);
}

TEST(Chapter07, AProductWithOneHotRowsIsALookup) {
  const std::vector<float> E = {1, 2, 3, 4, 5, 6};
  const std::vector<std::int32_t> ids = {2, 0, 2};
  EXPECT_EQ(product_minus_lookup(ids, E, 2), 0.0);
  EXPECT_EQ(one_hot(1, 3), (std::vector<float>{0, 1, 0}));
  EXPECT_THROW(one_hot(3, 3), std::out_of_range);
}

// Six ways to write one question: none gives the ids of another.
TEST(Chapter07, AnotherTemplateGivesOtherIds) {
  const Tokenizer tokenizer = Tokenizer::load(QLORA_SOURCE_DIR "/data/tiny-bpe");
  const std::vector<Message> turn = {{"user", "What is a kettle?"}, {"assistant", "A pot."}};
  using Kind = ChatTemplate::Kind;
  std::vector<std::string> texts = {instruction_text(turn[0].content, turn[1].content),
                                    alpaca_prompt(turn[0].content, "") + turn[1].content};
  for (const ChatTemplate& chat :
       {ChatTemplate{Kind::llama2}, ChatTemplate{Kind::llama3},
        ChatTemplate{Kind::llama3_1, "26 Jul 2024"}, ChatTemplate{Kind::llama3_1, "1 May 2026"}}) {
    texts.push_back(render_chat(chat, turn));
  }
  for (std::size_t a = 0; a < texts.size(); ++a) {
    for (std::size_t b = 0; b < a; ++b) {
      EXPECT_NE(tokenizer.encode(texts[a]), tokenizer.encode(texts[b])) << texts[a];
    }
  }
}

TEST(Chapter07, TheTemplateBesideTheSmallTokenizerIsLlama32s) {
  const ChatTemplate chat = chat_template_of(QLORA_SOURCE_DIR "/data/tiny-bpe");
  EXPECT_EQ(chat.kind, ChatTemplate::Kind::llama3_1);
  EXPECT_EQ(chat.date_string, "26 Jul 2024");
  const Tokenizer tokenizer = Tokenizer::load(QLORA_SOURCE_DIR "/data/tiny-bpe");
  const auto ids = encode_chat(chat, tokenizer, std::vector<Message>{{"user", "Hi"}}, true);
  EXPECT_EQ(ids.front(), tokenizer.bos_id());
  EXPECT_EQ(tokenizer.decode(ids, false),
            render_chat(chat, std::vector<Message>{{"user", "Hi"}}, true));
}

}  // namespace
}  // namespace qlora::chapter07
