#include "text/examples.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "core/error.h"
#include "text/embedded_tokenizer.h"

namespace qlora {
namespace {

using testing::embedded_tokenizer;
using Ids = std::vector<std::int32_t>;

Example pair_of(const std::string& prompt, const std::string& completion) {
  return {Example::Kind::prompt_completion, prompt, completion, {}};
}
Example text_of(const std::string& text) {
  return {Example::Kind::text, "", text, {}};
}

TEST(TokenizeDataset, CutsAndDropsAndCounts) {
  const Tokenizer& t = embedded_tokenizer();
  const std::vector<Example> rows = {pair_of("Price is $", "129"),            // fits
                                     pair_of("Price is $", "1234567890123"),  // its answer is cut
                                     pair_of(std::string(200, 'z'), "5"),  // its answer is cut away
                                     text_of("a kettle of stainless steel"), text_of("")};
  const auto length = static_cast<std::int64_t>(t.encode("Price is $").size() + 5);
  const TokenizedDataset set = tokenize_dataset(rows, t, length);
  EXPECT_EQ(set.rows, 5);
  EXPECT_EQ(set.cut, 2);
  EXPECT_EQ(set.dropped, 1);
  ASSERT_EQ(set.examples.size(), 4u);
  std::int64_t tokens = 0;
  for (const TokenizedExample& example : set.examples) {
    EXPECT_LE(static_cast<std::int64_t>(example.input_ids.size()), length);
    EXPECT_EQ(example.input_ids.size(), example.labels.size());
    tokens += static_cast<std::int64_t>(example.input_ids.size());
  }
  EXPECT_EQ(set.tokens, tokens);
  const TokenizedExample whole = tokenize_example(rows[1], t);
  EXPECT_TRUE(std::equal(set.examples[1].input_ids.begin(), set.examples[1].input_ids.end(),
                         whole.input_ids.begin()));
  // The empty text is BOS EOS: EOS is a label.
  EXPECT_EQ(set.examples[3].input_ids, (Ids{1, 2}));
}

TEST(TokenizeDataset, ALabelAtPositionZeroIsNoLabel) {
  const std::vector<Example> rows = {text_of("kettle")};
  EXPECT_EQ(tokenize_dataset(rows, embedded_tokenizer(), 1).dropped, 1);
  EXPECT_EQ(tokenize_dataset(rows, embedded_tokenizer(), 2).dropped, 0);
  EXPECT_THROW(tokenize_dataset(rows, embedded_tokenizer(), 0), std::invalid_argument);
}

TEST(TokenizeDataset, NamesTheRowThatNeedsATemplate) {
  std::vector<Example> rows(3, text_of("x"));
  rows[1].kind = Example::Kind::messages;
  rows[1].messages = {{"user", "Hi"}};
  try {
    tokenize_dataset(rows, embedded_tokenizer(), 10, {}, "chat.jsonl");
    FAIL() << "accepted";
  } catch (const BadInput& e) {
    EXPECT_TRUE(std::string(e.what()).starts_with("chat.jsonl: row 2: ")) << e.what();
  }
}

// Ids by transformers 5.23: LlamaTokenizer of the embedded tokenizer.model, legacy=False.
TEST(TokenizeDataset, ARenderedTextNamesItsSpecialTokens) {
  const std::vector<Example> rows = {
      text_of("<s>[INST] hi [/INST] there </s><s>[INST] a [/INST] b </s>"), text_of("<s> Hello"),
      text_of("Hello <s>")};
  const Tokenizer& t = embedded_tokenizer();
  const TokenizedDataset set = tokenize_dataset(rows, t, 100);
  const Ids hi = {1,    94,   2009, 2032, 2008, 2006, 96,   295,  1984, 1980, 94,   50,   2009,
                  2032, 2008, 2006, 96,   736,  1980, 2,    1,    94,   2009, 2032, 2008, 2006,
                  96,   261,  1980, 94,   50,   2009, 2032, 2008, 2006, 96,   277,  1980, 2};
  EXPECT_EQ(set.examples[0].input_ids, hi) << "one BOS at the beginning, one EOS at the end";
  EXPECT_EQ(set.examples[0].labels, hi) << "every token has its label";
  EXPECT_EQ(set.examples[1].input_ids, (Ids{1, 345, 440, 1985, 2})) << "EOS as behind other texts";
  const Ids text = t.encode("Hello <s>", {.add_bos = true, .add_eos = true});
  EXPECT_EQ(set.examples[2].input_ids, text) << "BOS is not what it begins with";
}

TEST(TokenizeDataset, AMarkInPromptsAndContentsIsText) {
  const ChatTemplate llama2{ChatTemplate::Kind::llama2};
  std::vector<Example> rows = {pair_of("<s>a", "b"), {Example::Kind::messages, "", "", {}}};
  rows[1].messages = {{"user", "<s>a</s>"}, {"assistant", "b"}};
  const TokenizedDataset set = tokenize_dataset(rows, embedded_tokenizer(), 100, llama2);
  for (const TokenizedExample& row : set.examples) {
    EXPECT_EQ(std::ranges::count(row.input_ids, 1), 1) << "BOS";
    EXPECT_EQ(std::ranges::count(row.input_ids, 2), 1) << "EOS";
  }
}

TEST(TokenizeDataset, AByteLevelTextHasItsOneBos) {
  const Tokenizer t = Tokenizer::load(QLORA_SOURCE_DIR "/data/tiny-bpe");
  const std::vector<Message> turn = {{"user", "Hi"}, {"assistant", "Hello"}};
  const ChatTemplate llama3{ChatTemplate::Kind::llama3};
  Ids expected = encode_chat(llama3, t, turn);
  expected.push_back(t.eos_id().value_or(-1));
  const std::vector<Example> rows = {text_of(render_chat(llama3, turn))};
  EXPECT_EQ(tokenize_dataset(rows, t, 100).examples.at(0).input_ids, expected);
}

}  // namespace
}  // namespace qlora
