// Tokenizers of the families' shapes beside the libraries that made them
// (tests/families/make_tokenizers.py): SmolLM2's Digits and ByteLevel, DeepSeek-Coder's Sequence of
// Splits, GPT-2's with a prefix space, Gemma's SentencePiece model.
#include <gtest/gtest.h>

#include "core/json.h"
#include "support/golden.h"
#include "text/tokenizer.h"

namespace qlora {
namespace {

class FamilyTokenizers : public ::testing::TestWithParam<std::string> {};

TEST_P(FamilyTokenizers, TextsAreWhatTheLibrariesMakeOfThem) {
  const std::string folder = testing::family("tokenizers/" + GetParam());
  const Tokenizer tokenizer = Tokenizer::load(folder);
  const Json vectors = Json::read(folder + "/vectors.json");
  ASSERT_GT(vectors.size(), 30u);
  for (const Json& vector : vectors.as_array()) {
    const std::string& text = vector.at("text").as_string();
    std::vector<std::int32_t> ids;
    for (const Json& id : vector.at("ids").as_array()) {
      ids.push_back(static_cast<std::int32_t>(id.as_integer()));
    }
    EXPECT_EQ(tokenizer.encode(text), ids) << text;
    EXPECT_EQ(tokenizer.decode(ids), vector.at("decoded").as_string()) << text;
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, FamilyTokenizers,
                         ::testing::Values("smollm2", "deepseek_coder", "prefix_space", "gemma"),
                         [](const auto& one) { return one.param; });

TEST(FamilyTokenizer, SpecialIdsAreThoseOfTheirFiles) {
  const auto load = [](const std::string& shape) {
    return Tokenizer::load(testing::family("tokenizers/" + shape));
  };
  EXPECT_EQ(load("smollm2").eos_id(), 0);
  EXPECT_EQ(load("deepseek_coder").bos_id(), 380);
  EXPECT_EQ(load("deepseek_coder").eos_id(), 381);
  const Tokenizer gemma = load("gemma");
  EXPECT_EQ(gemma.bos_id(), 2);
  EXPECT_EQ(gemma.eos_id(), 1);
  EXPECT_EQ(gemma.pad_id(), 0);
}

}  // namespace
}  // namespace qlora
