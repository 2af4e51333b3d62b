// Llama 2's own vocabulary and that of stories260K: optional assets, not part of the project.
#include <gtest/gtest.h>
#include <sentencepiece_processor.h>

#include "core/error.h"
#include "core/files.h"
#include "core/json.h"
#include "core/random.h"
#include "support/golden.h"
#include "text/llama_cpp_vectors.h"
#include "text/tokenizer.h"

namespace qlora {
namespace {

using testing::assets;
using Ids = std::vector<std::int32_t>;

constexpr EncodeOptions kPlain = {.add_bos = false, .add_eos = false};

Tokenizer llama2() {
  return Tokenizer::load(assets() + "/tokenizers/llama2");
}

TEST(Llama2Tokenizer, LlamaCppVectors) {
  SKIP_WITHOUT_ASSETS();
  testing::expect_llama_cpp_vectors(llama2(), "ggml-vocab-llama-spm.gguf");
}

TEST(Llama2Tokenizer, KnownAnswersOfLlamaTokenizerJs) {
  SKIP_WITHOUT_ASSETS();
  const Tokenizer t = llama2();
  const Json file = Json::read(assets() + "/tokenizers/vectors/llama2_known_answers.json");
  const Json& rows = file.at("plain_with_bos");
  ASSERT_EQ(rows.size(), 11u);
  for (const Json& row : rows.as_array()) {
    Ids ids;
    for (const Json& id : row.at(std::size_t{1}).as_array()) {
      ids.push_back(static_cast<std::int32_t>(id.as_integer()));
    }
    const std::string& text = row.at(std::size_t{0}).as_string();
    EXPECT_EQ(t.encode(text), ids) << text;
    EXPECT_EQ(t.decode(ids), text);
  }
}

// Ids of the reference library 0.1.97 with this vocabulary, checked against a second
// implementation.
TEST(Llama2Tokenizer, TableOfTexts) {
  SKIP_WITHOUT_ASSETS();
  const Tokenizer t = llama2();
  const struct {
    std::string text;
    Ids ids;
  } rows[] = {{"Hello world", {15043, 3186}},
              {" Hello", {29871, 15043}},
              {"Hello\n\nworld", {15043, 13, 13, 11526}},
              {"  ", {1678}},
              {"\n", {29871, 13}},
              {"\t", {29871, 12}},
              {"a", {263}},
              {"a ", {263, 29871}},
              {"naïve café", {1055, 30085, 345, 274, 28059}},
              {"日本語", {29871, 30325, 30346, 30968}},
              {"😀", {29871, 243, 162, 155, 131}},
              {"x  y   z", {921, 29871, 343, 259, 503}},
              {"1234567", {29871, 29896, 29906, 29941, 29946, 29945, 29953, 29955}},
              {"I'm", {306, 29915, 29885}},
              {"This is a test sentence.", {910, 338, 263, 1243, 10541, 29889}},
              {"foo_bar(baz);\n    return x;\n",
               {7953, 29918, 1646, 29898, 27975, 416, 13, 1678, 736, 921, 29936, 13}},
              {"é", {904}},
              {"e\xCC\x81", {321, 30103}},
              {"ﬁ", {29871, 31017}},
              {"①", {29871, 229, 148, 163}},
              {"\xE3\x80\x80x", {29871, 30358, 29916}},
              {"▁x", {29871, 921}},
              {std::string("a\0b", 3), {263, 3, 29890}},
              {"<s>", {529, 29879, 29958}},
              {"</s>", {1533, 29879, 29958}},
              {"The quick brown fox jumps over the lazy dog.",
               {450, 4996, 17354, 1701, 29916, 432, 17204, 975, 278, 17366, 11203, 29889}},
              {"[INST] hi [/INST]", {518, 25580, 29962, 7251, 518, 29914, 25580, 29962}},
              {"[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nHi [/INST]",
               {518,   25580, 29962, 3532,  14816, 29903, 6778, 13,    3629, 11473, 29889, 13,
                29966, 829,   14816, 29903, 6778,  13,    13,   18567, 518,  29914, 25580, 29962}}};
  for (const auto& row : rows) EXPECT_EQ(t.encode(row.text, kPlain), row.ids) << row.text;
}

TEST(Llama2Tokenizer, TableOfIds) {
  SKIP_WITHOUT_ASSETS();
  const Tokenizer t = llama2();
  EXPECT_EQ(t.decode(Ids{1, 15043, 3186, 2}), "Hello world");
  EXPECT_EQ(t.decode(Ids{0}), " \xE2\x81\x87 ");
  EXPECT_EQ(t.decode(Ids{15043, 29871, 3186}), "Hello  world");
  EXPECT_EQ(t.decode(Ids{259, 15043}), "  Hello");
}

// Ids by transformers 5.23: LlamaTokenizer of this vocabulary, legacy=False.
TEST(Llama2Tokenizer, RenderedTexts) {
  SKIP_WITHOUT_ASSETS();
  const Tokenizer t = llama2();
  EXPECT_EQ(t.encode_rendered("<s>[INST] hi [/INST] there </s><s>[INST] a [/INST] b </s>"),
            (Ids{1, 29961, 25580, 29962, 7251, 518, 29914, 25580, 29962, 727, 29871, 2,
                 1, 29961, 25580, 29962, 263,  518, 29914, 25580, 29962, 289, 29871, 2}));
  EXPECT_EQ(t.encode_rendered("<s>Hello"), (Ids{1, 10994}));
  EXPECT_EQ(t.encode_rendered("<s> Hello"), (Ids{1, 15043}));
  EXPECT_EQ(t.encode_rendered("<s></s>"), (Ids{1, 2}));
  EXPECT_EQ(t.encode_rendered("<s></s>\nx"), (Ids{1, 2, 13, 29916}));
}

// decode() against the library on ids that no text gives, for both vocabularies.
void expect_decodes_like_the_library(const std::string& folder) {
  const Tokenizer t = Tokenizer::load(folder);
  sentencepiece::SentencePieceProcessor library;
  ASSERT_TRUE(library.Load(folder + "/tokenizer.model").ok());
  const Random random{11};
  std::uint64_t draw = 0;
  for (int row = 0; row < 2000; ++row) {
    Ids ids(1 + random.below(draw++, 9));
    for (std::int32_t& id : ids) {
      const std::uint32_t bound =
          random.below(draw++, 2) == 0 ? 270u : static_cast<std::uint32_t>(t.vocab_size());
      id = static_cast<std::int32_t>(random.below(draw++, bound));
    }
    std::string expected;
    ASSERT_TRUE(library.Decode(ids, &expected).ok());
    ASSERT_EQ(t.decode(ids), expected) << ::testing::PrintToString(ids);
  }
}

TEST(Llama2Tokenizer, DecodesLikeTheLibrary) {
  SKIP_WITHOUT_ASSETS();
  expect_decodes_like_the_library(assets() + "/tokenizers/llama2");
}

TEST(Stories260KTokenizer, DecodesLikeTheLibrary) {
  SKIP_WITHOUT_ASSETS();
  expect_decodes_like_the_library(assets() + "/stories260K/hf");
}

TEST(Stories260KTokenizer, PublishedTextAndIds) {
  SKIP_WITHOUT_ASSETS();
  const Tokenizer t = Tokenizer::load(assets() + "/stories260K/hf");
  EXPECT_EQ(t.vocab_size(), 512);
  const Json golden = Json::read(assets() + "/stories260K/golden.json");
  Ids ids;
  for (const Json& id : golden.at("greedy_from_bos_200").as_array()) {
    ids.push_back(static_cast<std::int32_t>(id.as_integer()));
  }
  EXPECT_EQ(t.decode(ids), golden.at("greedy_text").as_string());
  for (const Json& row : golden.at("cases").as_array()) {
    Ids expected;
    for (const Json& id : row.at("input_ids").as_array()) {
      expected.push_back(static_cast<std::int32_t>(id.as_integer()));
    }
    EXPECT_EQ(t.encode(row.at("prompt").as_string()), expected);
  }
}

}  // namespace
}  // namespace qlora
