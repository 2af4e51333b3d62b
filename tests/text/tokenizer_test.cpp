#include "text/tokenizer.h"

#include <gtest/gtest.h>
#include <sentencepiece_processor.h>

#include <fstream>

#include "core/error.h"
#include "core/files.h"
#include "core/random.h"
#include "support/golden.h"
#include "text/embedded_tokenizer.h"

namespace qlora {
namespace {

using testing::embedded_tokenizer;
using testing::kTinyLlama;
using testing::scratch;
using Ids = std::vector<std::int32_t>;

constexpr EncodeOptions kPlain = {.add_bos = false, .add_eos = false};

std::string problem_of(const std::string& folder) {
  try {
    Tokenizer::load(folder);
  } catch (const BadInput& e) {
    return e.what();
  }
  return "";
}

void write(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

TEST(Tokenizer, HasTheIdsOfLlama2) {
  const Tokenizer& t = embedded_tokenizer();
  EXPECT_EQ(t.vocab_size(), 2048);
  EXPECT_EQ(t.unk_id(), 0);
  EXPECT_EQ(t.bos_id(), 1);
  EXPECT_EQ(t.eos_id(), 2);
  EXPECT_EQ(t.pad_id(), std::nullopt);
  EXPECT_EQ(t.padding(), 2);
  EXPECT_TRUE(t.is_special(1));
  EXPECT_FALSE(t.is_special(0));
  EXPECT_FALSE(t.is_special(300));
}

TEST(Tokenizer, EveryDigitIsOneToken) {
  const Tokenizer& t = embedded_tokenizer();
  const Ids prompt = t.encode("Price is $", kPlain);
  for (int price = 0; price < 3000; price += 7) {
    const std::string digits = std::to_string(price);
    const Ids ids = t.encode("Price is $" + digits, kPlain);
    // The prompt's ids stay as they are: labels that begin after them cover the digits alone.
    ASSERT_EQ(ids.size(), prompt.size() + digits.size()) << price;
    EXPECT_TRUE(std::equal(prompt.begin(), prompt.end(), ids.begin())) << price;
    for (std::size_t i = 0; i < digits.size(); ++i) {
      EXPECT_EQ(t.decode(Ids{ids[prompt.size() + i]}), digits.substr(i, 1)) << price;
    }
  }
}

TEST(Tokenizer, AddsSpecialTokensOnRequest) {
  const Tokenizer& t = embedded_tokenizer();
  const Ids plain = t.encode("a kettle", kPlain);
  Ids expected = plain;
  expected.insert(expected.begin(), 1);
  EXPECT_EQ(t.encode("a kettle"), expected);
  expected.push_back(2);
  EXPECT_EQ(t.encode("a kettle", {.add_bos = true, .add_eos = true}), expected);
  EXPECT_EQ(t.encode(""), Ids{1});
  EXPECT_EQ(t.encode("", kPlain), Ids{});
}

TEST(Tokenizer, ControlPiecesInTextAreText) {
  const Ids ids = embedded_tokenizer().encode("<s></s><0x0A>", kPlain);
  for (const std::int32_t id : ids) EXPECT_FALSE(embedded_tokenizer().is_special(id));
  EXPECT_EQ(embedded_tokenizer().decode(ids), "<s></s><0x0A>");
}

// Ids by transformers 5.23: LlamaTokenizer of this tokenizer.model, legacy=False.
TEST(Tokenizer, SpecialTokensOfARenderedTextAreNoText) {
  const Tokenizer& t = embedded_tokenizer();
  EXPECT_EQ(t.encode_rendered("<s>Hello"), (Ids{1, 2017, 440, 1985})) << "no space before it";
  EXPECT_EQ(t.encode_rendered("<s> Hello"), (Ids{1, 345, 440, 1985}));
  EXPECT_EQ(t.encode_rendered("<s></s>"), (Ids{1, 2}));
  EXPECT_EQ(t.encode_rendered("<s><unk>x"), (Ids{1, 0, 2012}));
  EXPECT_EQ(t.encode_rendered("<s>  two"), (Ids{1, 1980, 972}));
  EXPECT_TRUE(t.begins_with_bos("<s>"));
  EXPECT_FALSE(t.begins_with_bos(" <s>"));
  EXPECT_FALSE(t.begins_with_bos(""));
}

TEST(Tokenizer, RoundTripsTextThatItNeverSaw) {
  const Tokenizer& t = embedded_tokenizer();
  for (const std::string& text :
       {std::string("Hello world"), std::string("  two  spaces "), std::string("\n\t\r\n"),
        std::string("naïve café 日本語 😀"), std::string("e\xCC\x81"), std::string("a\0b", 3),
        std::string(5000, 'z'), std::string(" ")}) {
    EXPECT_EQ(t.decode(t.encode(text)), text);
  }
}

TEST(Tokenizer, BytesThatAreNoTextBecomeTheReplacementCharacter) {
  const Tokenizer& t = embedded_tokenizer();
  EXPECT_EQ(t.decode(t.encode("a\xFF"
                              "b")),
            "a\xEF\xBF\xBD"
            "b");
}

TEST(Tokenizer, DecodesLikeTheLibrary) {
  const Tokenizer& t = embedded_tokenizer();
  sentencepiece::SentencePieceProcessor library;
  ASSERT_TRUE(library.Load(kTinyLlama + "/tokenizer.model").ok());
  const Random random{7};
  std::uint64_t draw = 0;
  for (int row = 0; row < 3000; ++row) {
    Ids ids(random.below(draw++, 12));
    for (std::int32_t& id : ids) {
      // As many byte and control pieces as others: that is where decoding has its rules.
      const std::uint32_t bound = random.below(draw++, 2) == 0 ? 264 : 2048;
      id = static_cast<std::int32_t>(random.below(draw++, bound));
    }
    std::string expected;
    ASSERT_TRUE(library.Decode(ids, &expected).ok());
    ASSERT_EQ(t.decode(ids), expected) << ::testing::PrintToString(ids);
  }
}

TEST(Tokenizer, ShowsSpecialTokensOnRequest) {
  const Tokenizer& t = embedded_tokenizer();
  Ids ids = t.encode("How much", {.add_bos = true, .add_eos = true});
  EXPECT_EQ(t.decode(ids), "How much");
  EXPECT_EQ(t.decode(ids, false), "<s> How much</s>");
}

TEST(Tokenizer, RefusesIdsOutsideTheVocabulary) {
  const Tokenizer& t = embedded_tokenizer();
  EXPECT_THROW(t.decode(Ids{2048}), std::invalid_argument);
  EXPECT_THROW(t.decode(Ids{-1}), std::invalid_argument);
  EXPECT_THROW(t.is_special(2048), std::invalid_argument);
}

TEST(Tokenizer, ABatchIsItsRows) {
  const Tokenizer& t = embedded_tokenizer();
  std::vector<std::string> texts;
  texts.reserve(37);
  for (int i = 0; i < 37; ++i) texts.push_back("row " + std::to_string(i * i));
  const auto rows = t.encode_batch(texts, kPlain);
  ASSERT_EQ(rows.size(), texts.size());
  for (std::size_t i = 0; i < rows.size(); ++i) EXPECT_EQ(rows[i], t.encode(texts[i], kPlain));
  EXPECT_TRUE(t.encode_batch({}).empty());
}

TEST(DecodeStream, HoldsBackUnfinishedCharacters) {
  const Tokenizer& t = embedded_tokenizer();
  DecodeStream stream(t);
  const auto byte = [](int value) { return 3 + value; };
  EXPECT_EQ(stream.push(byte(0xF0)), "");
  EXPECT_EQ(stream.push(byte(0x9F)), "");
  EXPECT_EQ(stream.push(byte(0x98)), "");
  EXPECT_EQ(stream.push(byte(0x80)), "😀");
  EXPECT_EQ(stream.push(byte(0xE3)), "");
  EXPECT_EQ(stream.push(byte('a')),
            "\xEF\xBF\xBD"
            "a");
  EXPECT_EQ(stream.push(byte(0xC3)), "");
  EXPECT_EQ(stream.finish(), "\xEF\xBF\xBD");
  EXPECT_EQ(stream.finish(), "");
}

TEST(DecodeStream, PartsJoinToTheWhole) {
  const Tokenizer& t = embedded_tokenizer();
  const std::string text = "The dining table — 日本語 — is $129.\n\n  Done 😀";
  DecodeStream stream(t);
  std::string joined;
  for (const std::int32_t id : t.encode(text)) {
    const std::string part = stream.push(id);
    EXPECT_EQ(part.find("\xEF\xBF\xBD"), std::string::npos);
    joined += part;
  }
  EXPECT_EQ(joined + stream.finish(), text);
}

TEST(TokenizerLoad, NamesWhatIsMissingAndWhatIsSupported) {
  const std::string folder = scratch().string();
  EXPECT_NE(problem_of(folder).find("tokenizer.model: there is no tokenizer"), std::string::npos);
  write(scratch() / "tokenizer.json", R"({"model": {"type": "Unigram"}})");
  EXPECT_NE(problem_of(folder).find(
                "tokenizer.json: model: a Unigram model is not supported; supported are"),
            std::string::npos);
  write(scratch() / "tokenizer.model", "IQ== 0\nIg== 1\n");
  EXPECT_NE(problem_of(folder).find("tokenizer.model: byte 0 is no token"), std::string::npos);
  write(scratch() / "tokenizer.json", "{");
  EXPECT_NE(problem_of(folder).find("tokenizer.json: line 1, column 1: not valid JSON"),
            std::string::npos)
      << problem_of(folder);
}

// Llama 2's folder has both: its tokenizer.json is no byte-level BPE.
TEST(TokenizerLoad, TakesTheModelFileWhereTheJsonIsOfAnotherKind) {
  std::filesystem::copy(kTinyLlama + "/tokenizer.model", scratch());
  write(scratch() / "tokenizer.json", R"({"model": {"type": "BPE", "byte_fallback": true}})");
  EXPECT_EQ(Tokenizer::load(scratch().string()).vocab_size(), 2048);
}

TEST(TokenizerLoad, ItsConfigurationSaysWhatIsPutAroundAText) {
  std::filesystem::copy(kTinyLlama + "/tokenizer.model", scratch());
  const auto load = [](const std::string& config) {
    write(scratch() / "tokenizer_config.json", config);
    return Tokenizer::load(scratch().string());
  };
  const Ids plain = embedded_tokenizer().encode("a kettle", kPlain);
  Ids with_bos = plain;
  with_bos.insert(with_bos.begin(), 1);
  const Tokenizer silent = load(R"({"add_bos_token": null, "legacy": false})");
  EXPECT_EQ(silent.encode("a kettle"), with_bos);
  EXPECT_FALSE(silent.adds_eos());
  const Tokenizer other = load(R"({"add_bos_token": false, "add_eos_token": true})");
  EXPECT_EQ(other.encode("a kettle"), plain);
  EXPECT_EQ(other.bos_id(), 1) << "a conversation has it all the same";
  EXPECT_TRUE(other.adds_eos());
  EXPECT_THROW(load(R"({"add_bos_token": 1})"), BadInput);
  EXPECT_THROW(load("{"), BadInput);
}

TEST(TokenizerLoad, SentencePieceModelsDoNotLookLikeTiktoken) {
  const std::string bytes = read_file(kTinyLlama + "/tokenizer.model");
  EXPECT_EQ(Tokenizer::from_bytes(bytes, "m").vocab_size(), 2048);
}

}  // namespace
}  // namespace qlora
