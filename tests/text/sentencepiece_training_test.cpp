#include "text/sentencepiece_training.h"

#include <gtest/gtest.h>

#include <vector>

#include "core/error.h"
#include "text/product_text.h"
#include "text/tokenizer.h"

namespace qlora {
namespace {

std::vector<std::string> texts() {
  std::vector<std::string> texts;
  texts.reserve(400);
  for (int i = 0; i < 400; ++i) texts.push_back(product_description(5, i));
  return texts;
}

TEST(TrainSentencePiece, EqualTextsGiveEqualBytes) {
  const auto model = train_sentencepiece(texts(), {.vocab_size = 700});
  EXPECT_EQ(train_sentencepiece(texts(), {.vocab_size = 700}), model);
}

TEST(TrainSentencePiece, IsAVocabularyInTheMannerOfLlama2) {
  const Tokenizer t =
      Tokenizer::from_bytes(train_sentencepiece(texts(), {.vocab_size = 700}), "trained");
  EXPECT_EQ(t.vocab_size(), 700);
  EXPECT_EQ(t.unk_id(), 0);
  EXPECT_EQ(t.bos_id(), 1);
  EXPECT_EQ(t.eos_id(), 2);
  const EncodeOptions plain = {.add_bos = false, .add_eos = false};
  // The 256 bytes follow: U+0007 never was in the text.
  EXPECT_EQ(t.encode("\a", plain).back(), 3 + 7);
  EXPECT_EQ(t.encode("x1234567", plain).size(), 2u + 7u);
  // No normalization: white space and compatibility characters come back as they were.
  EXPECT_EQ(t.decode(t.encode("  a  ﬁ\n\n ①")), "  a  ﬁ\n\n ①");
  // It learned the words of its text.
  EXPECT_LT(t.encode("a stainless steel kettle", plain).size(), 12u);
  EXPECT_GT(t.encode("b tsainslse tseel tektle", plain).size(), 12u);
}

TEST(TrainSentencePiece, SaysWhatIsWrong) {
  const std::vector<std::string> one = {"too small"};
  EXPECT_THROW(train_sentencepiece(one, {.vocab_size = 2048}), BadInput);
  EXPECT_THROW(train_sentencepiece({}, {.vocab_size = 2048}), BadInput);
  EXPECT_THROW(train_sentencepiece(texts(), {.vocab_size = 10}), BadInput);
}

}  // namespace
}  // namespace qlora
