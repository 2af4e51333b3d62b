#include "text/examples.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace qlora
