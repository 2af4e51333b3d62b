// The whole way of a byte-level BPE, on a vocabulary that the test writes. Ids are those of the
// tokenizers library 0.23.3 with the same file.
#include <gtest/gtest.h>

#include <fstream>

#include "core/error.h"
#include "core/random.h"
#include "support/golden.h"
#include "text/byte_level_files.h"
#include "text/tokenizer.h"

namespace qlora {
namespace {

using testing::kBos, testing::kEos, testing::kEosLong, testing::kHe, testing::kHell,
    testing::kHello, testing::kLl, testing::kLo, testing::kNote, testing::kSpaceW, testing::kXyz;
using testing::scratch;
using testing::small_tokenizer_json;
using Ids = std::vector<std::int32_t>;

constexpr EncodeOptions kPlain = {.add_bos = false};
constexpr EncodeOptions kSplit = {.add_bos = false, .split_special_tokens = true};

Tokenizer made_of(const Json& json) {
  return Tokenizer::from_bytes(json.dump(), "tokenizer.json");
}

const Tokenizer& small() {
  static const Tokenizer tokenizer = made_of(small_tokenizer_json());
  return tokenizer;
}

Tokenizer with_pre_tokenizers(Json::Array members) {
  Json json = small_tokenizer_json();
  members.push_back(json.at("decoder"));
  json["pre_tokenizer"]["pretokenizers"] = Json(std::move(members));
  return made_of(json);
}

Json split(const char* kind, const char* pattern, const char* behavior, bool invert) {
  Json json = Json::object();
  json["type"] = "Split";
  json["pattern"][kind] = pattern;
  json["behavior"] = behavior;
  json["invert"] = invert;
  return json;
}

void write(const char* name, const Json& json) {
  std::ofstream(scratch() / name) << json.dump();
}

TEST(ByteLevelTokenizer, TableOfTexts) {
  const struct {
    const char* text;
    Ids ids;
  } rows[] = {{"hello", {kHello}},
              {"llo", {kLl, 'o'}},
              {"lll", {kLl, 'l'}},
              {"hello world", {kHello, kSpaceW, 'o', 'r', 'l', 'd'}},
              {"xyz", {kXyz}},  // no merge makes it: the whole piece is looked up
              {"xyzz", {'x', 'y', 'z', 'z'}},
              {"12345 hello", {'1', '2', '3', '4', '5', ' ', kHello}},
              {"", {}},
              {"\n\n hello", {10, 10, ' ', kHello}},
              {"a  b", {'a', ' ', ' ', 'b'}},
              {"hé", {'h', 195, 169}},
              {"hell0 .l .lo", {kHell, '0', ' ', '.', 'l', ' ', '.', kLo}}};
  for (const auto& row : rows) {
    EXPECT_EQ(small().encode(row.text, kPlain), row.ids) << row.text;
    EXPECT_EQ(small().decode(row.ids), row.text);
  }
}

TEST(ByteLevelTokenizer, WithoutIgnoreMergesTheMergesDecide) {
  Json json = small_tokenizer_json();
  json["model"]["ignore_merges"] = false;
  EXPECT_EQ(made_of(json).encode("xyz hello", kPlain), (Ids{'x', 'y', 'z', ' ', kHello}));
  json["model"]["merges"] = Json(Json::Array{Json(Json::Array{"l", "o"}), "h e", "l l"});
  EXPECT_EQ(made_of(json).encode("hello", kPlain), (Ids{kHe, 'l', kLo}));
}

TEST(ByteLevelTokenizer, SpecialTokensInATextAreIdsUnlessAskedOtherwise) {
  const std::string text = "<|bos|>hello<|eos|>!<|eos|><note><|eos";
  EXPECT_EQ(small().encode(text, kPlain),
            (Ids{kBos, kHello, kEosLong, kEos, kNote, '<', '|', 'e', 'o', 's'}));
  // An added token that is not special is looked for nevertheless.
  const Ids split = small().encode("<|eos|><note>", kSplit);
  EXPECT_EQ(split, (Ids{'<', '|', 'e', 'o', 's', '|', '>', kNote}));
  EXPECT_EQ(small().decode(split), "<|eos|><note>");
}

TEST(ByteLevelTokenizer, NormalizedTokensComeSecond) {
  Json json = small_tokenizer_json();
  Json token = testing::added_token("o<note", testing::kSize, false);
  json["added_tokens"].push_back(token);
  EXPECT_EQ(made_of(json).encode("o<note>", kPlain), (Ids{testing::kSize, '>'}));
  token["normalized"] = true;
  json["added_tokens"] = small_tokenizer_json().at("added_tokens");
  json["added_tokens"].push_back(token);
  EXPECT_EQ(made_of(json).encode("o<note>o<note", kPlain), (Ids{'o', kNote, testing::kSize}));
}

TEST(ByteLevelTokenizer, TheTemplateSaysWhetherThereIsABos) {
  EXPECT_EQ(small().bos_id(), kBos);
  EXPECT_EQ(small().encode(""), (Ids{kBos}));
  EXPECT_EQ(small().encode("hello"), (Ids{kBos, kHello}));
  EXPECT_EQ(small().encode("<|bos|>hello"), (Ids{kBos, kBos, kHello}));  // as transformers
  Json json = small_tokenizer_json();
  json["post_processor"] = json.at("decoder");
  EXPECT_EQ(made_of(json).bos_id(), std::nullopt);
  EXPECT_EQ(made_of(json).encode("hello", {.add_bos = true, .add_eos = true}), (Ids{kHello}));
}

TEST(ByteLevelTokenizer, TheFolderNamesBosEosAndPadding) {
  write("tokenizer.json", small_tokenizer_json());
  const std::string folder = scratch().string();
  EXPECT_EQ(Tokenizer::load(folder).eos_id(), std::nullopt);
  Json generation = Json::object();
  generation["eos_token_id"] = Json(Json::Array{kEosLong, kEos});
  generation["pad_token_id"] = -1;
  write("generation_config.json", generation);
  EXPECT_EQ(Tokenizer::load(folder).eos_id(), kEosLong);
  EXPECT_EQ(Tokenizer::load(folder).pad_id(), std::nullopt);
  EXPECT_EQ(Tokenizer::load(folder).padding(), kEosLong);
  Json config = Json::object();
  config["bos_token"] = "<|bos|>";
  config["eos_token"]["content"] = "<|eos|>";
  config["pad_token"] = "<|eos|>!";
  write("tokenizer_config.json", config);
  const Tokenizer t = Tokenizer::load(folder);
  EXPECT_EQ(t.bos_id(), kBos);
  EXPECT_EQ(t.eos_id(), kEos);
  EXPECT_EQ(t.pad_id(), kEosLong);
  EXPECT_EQ(t.encode("hello", {.add_bos = true, .add_eos = true}), (Ids{kBos, kHello, kEos}));
}

TEST(ByteLevelTokenizer, TheFolderMayNotNameWhatThereIsNot) {
  write("tokenizer.json", small_tokenizer_json());
  const auto problem = [] {
    try {
      Tokenizer::load(scratch().string());
    } catch (const BadInput& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  Json config = Json::object();
  config["pad_token"] = "[PAD]";
  write("tokenizer_config.json", config);
  EXPECT_NE(problem().find("tokenizer_config.json: pad_token: found \"[PAD]\", expected an added"),
            std::string::npos)
      << problem();
  write("tokenizer_config.json", Json::object());
  Json generation = Json::object();
  generation["eos_token_id"] = testing::kSize;
  write("generation_config.json", generation);
  EXPECT_NE(problem().find("generation_config.json: eos_token_id: found 267, expected -1 or an id"),
            std::string::npos)
      << problem();
}

TEST(ByteLevelTokenizer, SplitsOfTheJson) {
  const Tokenizer removed = with_pre_tokenizers({split("Regex", "l+", "Removed", false)});
  EXPECT_EQ(removed.encode("hello lo", kPlain), (Ids{kHe, 'o', ' ', 'o'}));
  const Tokenizer inverted = with_pre_tokenizers({split("Regex", "[a-z ]+", "Removed", true)});
  EXPECT_EQ(inverted.encode("12345 hello", kPlain), (Ids{' ', kHello}));
  const Tokenizer literal = with_pre_tokenizers({split("String", ".l", "Isolated", false)});
  EXPECT_EQ(literal.encode("hell0 .lo", kPlain), (Ids{kHell, '0', ' ', '.', 'l', 'o'}));
  const Tokenizer each = with_pre_tokenizers({split("Regex", "x*", "Isolated", false)});
  EXPECT_EQ(each.encode("hello", kPlain), (Ids{'h', 'e', 'l', 'l', 'o'}));
}

TEST(ByteLevelTokenizer, DigitsAndByteLevelsOwnSplit) {
  Json json = small_tokenizer_json();
  json["model"]["vocab"][testing::symbols(" 12")] = testing::kSize;
  json["model"]["vocab"]["12"] = testing::kSize + 1;
  json["pre_tokenizer"] = json.at("decoder");
  json["pre_tokenizer"]["use_regex"] = true;  // GPT-2's: a number with the space before it
  EXPECT_EQ(made_of(json).encode("hello 12", kPlain), (Ids{kHello, testing::kSize}));
  Json digits = Json::object();
  digits["type"] = "Digits";
  digits["individual_digits"] = true;
  const auto after_digits = [&] {
    Json sequence = Json::object();
    sequence["type"] = "Sequence";
    sequence["pretokenizers"] = Json(Json::Array{digits, json.at("pre_tokenizer")});
    Json other = json;
    other["pre_tokenizer"] = sequence;
    return made_of(other).encode("hello 12", kPlain);
  };
  EXPECT_EQ(after_digits(), (Ids{kHello, ' ', '1', '2'}));
  digits["individual_digits"] = false;
  EXPECT_EQ(after_digits(), (Ids{kHello, ' ', testing::kSize + 1}));
}

// Ids up to "p" are the bytes', from "q" on all are one less.
TEST(ByteLevelTokenizer, BytesWithoutAToken) {
  Json json = small_tokenizer_json();
  Json vocabulary = Json::object();
  for (const auto& [content, id] : json.at("model").at("vocab").as_object()) {
    if (content != "q") vocabulary[content] = static_cast<int>(vocabulary.size());
  }
  json["model"]["vocab"] = vocabulary;
  json["added_tokens"] = Json::array();
  json["post_processor"] = Json();
  EXPECT_EQ(made_of(json).encode("qhqeq", kPlain), (Ids{kHe - 1}));
  EXPECT_EQ(made_of(json).unk_id(), std::nullopt);
  json["model"]["unk_token"] = "a";
  EXPECT_EQ(made_of(json).encode("qqh", kPlain), (Ids{'a', 'a', 'h'}));
  EXPECT_EQ(made_of(json).unk_id(), 'a');
  json["model"]["fuse_unk"] = true;
  EXPECT_EQ(made_of(json).encode("qqh", kPlain), (Ids{'a', 'h'}));
}

TEST(ByteLevelTokenizer, BytesThatAreNotUtf8) {
  const std::string replaced =
      "a\xEF\xBF\xBD"
      "b";
  EXPECT_EQ(small().decode(small().encode("a\xFF"
                                          "b")),
            replaced);
  EXPECT_EQ(small().decode(Ids{'a', 0xFF, 'b'}), replaced);
  // One U+FFFD for the beginning of a character, as Rust's from_utf8_lossy.
  EXPECT_EQ(small().decode(Ids{'a', 0xF0, 0x9F, 'b'}), replaced);
  EXPECT_EQ(small().decode(Ids{0xF0, 0x9F, 0xF0, 0x9F}), "\xEF\xBF\xBD\xEF\xBF\xBD");
  // A special token that is left out does not part the bytes.
  EXPECT_EQ(small().decode(Ids{0xC3, kEos, 0xA9}), "é");
  EXPECT_EQ(small().decode(Ids{0xC3, kEos, 0xA9}, false), "\xEF\xBF\xBD<|eos|>\xEF\xBF\xBD");
}

TEST(ByteLevelTokenizer, TextsComeBack) {
  const Random random{11};
  std::uint64_t draw = 0;
  const std::vector<std::string> parts = {"hello", " w",  "é",  "日本", "😀", "<|",       "\n",
                                          "  ",    "xyz", "12", "'LL",  "\t", "e\xCC\x81"};
  for (int row = 0; row < 500; ++row) {
    std::string text;
    for (std::uint32_t n = random.below(draw++, 20); n > 0; --n) {
      text += parts[random.below(draw++, static_cast<std::uint32_t>(parts.size()))];
    }
    const Ids ids = small().encode(text);
    ASSERT_EQ(small().decode(ids), text);
    DecodeStream stream(small());
    std::string joined;
    for (const std::int32_t id : ids) {
      const std::string part = stream.push(id);
      ASSERT_EQ(part.find("\xEF\xBF\xBD"), std::string::npos);
      joined += part;
    }
    ASSERT_EQ(joined + stream.finish(), text);
  }
}

TEST(ByteLevelTokenizer, ALongTextOfOneCharacter) {
  for (const char* unit : {"l", " ", "\n", "é", "<", "1"}) {
    std::string text;
    while (text.size() < 300000) text += unit;
    EXPECT_EQ(small().decode(small().encode(text)), text);
  }
}

TEST(ByteLevelTokenizer, SpecialIdsAndTheVocabulary) {
  EXPECT_EQ(small().vocab_size(), testing::kSize);
  EXPECT_TRUE(small().is_special(kEos));
  EXPECT_FALSE(small().is_special(kNote));
  EXPECT_EQ(small().decode(Ids{kBos, kHello, kNote, kEos}), "hello<note>");
  EXPECT_EQ(small().decode(Ids{kBos, kHello, kNote, kEos}, false), "<|bos|>hello<note><|eos|>");
  EXPECT_THROW(small().decode(Ids{testing::kSize}), std::invalid_argument);
  EXPECT_THROW(small().is_special(-1), std::invalid_argument);
}

TEST(ByteLevelTokenizer, ABatchIsItsRows) {
  const std::vector<std::string> texts = {"hello", "", "world <|eos|>", "12 34"};
  const auto rows = small().encode_batch(texts, kPlain);
  ASSERT_EQ(rows.size(), texts.size());
  for (std::size_t i = 0; i < rows.size(); ++i)
    EXPECT_EQ(rows[i], small().encode(texts[i], kPlain));
}

}  // namespace
}  // namespace qlora
