// Which tokens of a row are trained on, with a vocabulary that the test learns.
#include <gtest/gtest.h>

#include <fstream>

#include "core/error.h"
#include "support/golden.h"
#include "text/byte_level_file.h"
#include "text/byte_level_training.h"
#include "text/examples.h"

namespace qlora {
namespace {

using Ids = std::vector<std::int32_t>;

// Ids 0 and 1 are BOS and EOS; "kettle", " kettle" and " steel" are tokens of their own.
Tokenizer small_tokenizer() {
  ByteLevelTraining options;
  options.vocab_size = 280;
  options.special_tokens = {"<|bos|>", "<|eos|>"};
  const std::vector<std::string> text = {"kettle kettle kettle kettle kettle steel steel steel"};
  const BytePairs pairs = train_byte_level(text, options);
  const auto folder = testing::scratch();
  std::ofstream(folder / "tokenizer.json")
      << tokenizer_json(pairs, options.split, "<|bos|>").dump();
  std::ofstream(folder / "tokenizer_config.json")
      << R"({"bos_token": "<|bos|>", "eos_token": "<|eos|>"})";
  return Tokenizer::load(folder.string());
}

Example pair_of(const std::string& prompt, const std::string& completion) {
  return {Example::Kind::prompt_completion, prompt, completion, {}};
}

TEST(TokenizeExample, PromptIsMaskedAndTheAnswerIsNot) {
  const Tokenizer t = small_tokenizer();
  const TokenizedExample row = tokenize_example(pair_of("Price is $", "129"), t);
  EXPECT_EQ(row.input_ids, t.encode("Price is $129", {.add_bos = true, .add_eos = true}));
  ASSERT_EQ(row.input_ids.size(), 1 + 13 + 1u);  // BOS, a token for each byte, EOS
  Ids labels(11, kIgnoredLabel);                 // BOS and ten of the prompt
  labels.insert(labels.end(), row.input_ids.begin() + 11, row.input_ids.end());
  EXPECT_EQ(row.labels, labels);
}

TEST(TokenizeExample, TheEndIsLearned) {
  const TokenizedExample row = tokenize_example(pair_of("a", "b"), small_tokenizer());
  EXPECT_EQ(row.input_ids.front(), 0);
  EXPECT_EQ(row.input_ids.back(), 1);
  EXPECT_EQ(row.labels.back(), 1);
}

TEST(TokenizeExample, PromptAndAnswerAreOneText) {
  const Tokenizer t = small_tokenizer();
  const TokenizedExample row = tokenize_example(pair_of("a", " kettle of steel"), t);
  EXPECT_EQ(row.input_ids, t.encode("a kettle of steel", {.add_bos = true, .add_eos = true}));
  const TokenizedExample seam = tokenize_example(pair_of("a ket", "tle of steel"), t);
  EXPECT_EQ(seam.input_ids, row.input_ids);
}

// TRL masks as many positions as the prompt alone has tokens, also where the two merge at the seam.
TEST(TokenizeExample, TheMaskIsThePromptsOwnLength) {
  const Tokenizer t = small_tokenizer();
  const TokenizedExample row = tokenize_example(pair_of("a kettl", "e of steel"), t);
  const std::size_t prompt = t.encode("a kettl").size();
  ASSERT_GT(prompt, t.encode("a kettle").size());
  for (std::size_t i = 0; i < row.labels.size(); ++i) {
    EXPECT_EQ(row.labels[i], i < prompt ? kIgnoredLabel : row.input_ids[i]) << i;
  }
}

TEST(TokenizeExample, APromptThatIsLongerAloneMasksTheWholeRow) {
  const Tokenizer t = small_tokenizer();
  const TokenizedExample row = tokenize_example(pair_of(" kettl", "e"), t);
  ASSERT_EQ(row.input_ids.size(), 3u);
  ASSERT_GT(t.encode(" kettl").size(), row.input_ids.size());
  EXPECT_EQ(row.labels, Ids(3, kIgnoredLabel));
}

TEST(TokenizeExample, ATextHasEveryLabel) {
  const Example text = {Example::Kind::text, "", "a kettle", {}};
  const TokenizedExample row = tokenize_example(text, small_tokenizer());
  EXPECT_EQ(row.labels, row.input_ids);
  EXPECT_EQ(row.input_ids.front(), 0);
  EXPECT_EQ(row.input_ids.back(), 1);
}

TEST(TokenizeExample, AConversationIsLaidOutAndHasEveryLabel) {
  Example row;
  row.kind = Example::Kind::messages;
  row.messages = {{"user", "Hi"}, {"assistant", "Hello"}};
  const Tokenizer t = small_tokenizer();
  const ChatTemplate llama2{ChatTemplate::Kind::llama2};
  const TokenizedExample chat = tokenize_example(row, t, llama2);
  EXPECT_EQ(chat.input_ids, encode_chat(llama2, t, row.messages));
  EXPECT_EQ(chat.labels, chat.input_ids);
  EXPECT_THROW(tokenize_example(row, t), BadInput) << "there is no template";
}

}  // namespace
}  // namespace qlora
