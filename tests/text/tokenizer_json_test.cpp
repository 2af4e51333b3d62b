// Files that are not what a trainer wrote: each is refused with its place.
#include "text/tokenizer_json.h"

#include <gtest/gtest.h>

#include <functional>

#include "core/error.h"
#include "text/byte_alphabet.h"
#include "text/byte_level_files.h"
#include "text/tokenizer.h"

namespace qlora {
namespace {

using testing::added_token;
using testing::small_tokenizer_json;

std::string problem_of(const Json& json) {
  try {
    Tokenizer::from_bytes(json.dump(), "t");
  } catch (const BadInput& e) {
    return e.what();
  }
  return "";
}

// The problem of the small file after a change.
std::string after(const std::function<void(Json&)>& change) {
  Json json = small_tokenizer_json();
  change(json);
  return problem_of(json);
}

#define EXPECT_PROBLEM(problem, text) \
  EXPECT_NE((problem).find(text), std::string::npos) << "is: " << (problem)

TEST(ByteAlphabet, EachByteHasItsSymbol) {
  for (int byte = 0; byte < 256; ++byte) {
    EXPECT_EQ(bytes_of_symbols(testing::symbol(byte)), std::string(1, static_cast<char>(byte)));
  }
  EXPECT_EQ(bytes_of_symbols("\xC4\xA0w\xC4\x8A"), " w\n");
  EXPECT_EQ(bytes_of_symbols(""), "");
  for (const char* none : {" ", "a b", "\xC5\x84", "日", "\xFF"}) {
    EXPECT_EQ(bytes_of_symbols(none), std::nullopt) << none;
  }
}

TEST(TokenizerJson, TheSmallFileIsGood) {
  EXPECT_EQ(problem_of(small_tokenizer_json()), "");
}

TEST(TokenizerJson, OtherKindsAreRefusedByName) {
  EXPECT_PROBLEM(after([](Json& j) { j["model"]["type"] = "Unigram"; }),
                 "t: model: a Unigram model is not supported; supported are");
  EXPECT_PROBLEM(after([](Json& j) { j["model"]["byte_fallback"] = true; }),
                 "a BPE model with byte_fallback, as SentencePiece's");
  EXPECT_PROBLEM(after([](Json& j) { j["pre_tokenizer"] = Json(); }),
                 "a BPE model without ByteLevel");
  EXPECT_PROBLEM(after([](Json& j) { j["pre_tokenizer"]["type"] = "Metaspace"; }),
                 "a BPE model without ByteLevel, but with Metaspace is not supported");
  EXPECT_PROBLEM(after([](Json& j) { j["model"]["type"] = "WordPiece"; }),
                 "a WordPiece model is not supported");
  EXPECT_PROBLEM(after([](Json& j) {
                   j["model"]["type"] = Json();
                   j["model"]["merges"] = Json();
                 }),
                 "a model without a type");
  EXPECT_EQ(after([](Json& j) { j["model"]["type"] = Json(); }), "");  // as older files
  EXPECT_PROBLEM(problem_of(Json::object()), "t: the member \"model\" is missing");
}

TEST(TokenizerJson, PartsThatChangeIdsAreRefusedByName) {
  EXPECT_PROBLEM(after([](Json& j) { j["normalizer"]["type"] = "NFC"; }), "t: normalizer: found");
  EXPECT_PROBLEM(after([](Json& j) {
                   j["normalizer"]["type"] = "Sequence";
                   j["normalizer"]["normalizers"] =
                       Json(Json::Array{j.at("decoder"), j.at("decoder")});
                 }),
                 "t: normalizer.normalizers[0]: found");
  EXPECT_EQ(after([](Json& j) {  // as in DeepSeek-Coder
              j["normalizer"]["type"] = "Sequence";
              j["normalizer"]["normalizers"] = Json::array();
            }),
            "");
  EXPECT_PROBLEM(after([](Json& j) { j["model"]["dropout"] = 0.1; }), "t: model.dropout: found");
  EXPECT_EQ(after([](Json& j) { j["model"]["dropout"] = 0.0; }), "");
  EXPECT_PROBLEM(after([](Json& j) { j["model"]["continuing_subword_prefix"] = "##"; }),
                 "model.continuing_subword_prefix: found \"##\"");
  EXPECT_EQ(after([](Json& j) { j["model"]["continuing_subword_prefix"] = ""; }), "");
  for (const char* key : {"single_word", "lstrip", "rstrip"}) {
    EXPECT_PROBLEM(after([&](Json& j) {
                     Json token = added_token("<x>", testing::kSize, true);
                     token[key] = true;
                     j["added_tokens"].push_back(token);
                   }),
                   "found true, expected false, nothing else is supported");
  }
  EXPECT_PROBLEM(after([](Json& j) { j["decoder"]["type"] = "WordPiece"; }),
                 "t: decoder.type: found \"WordPiece\", expected ByteLevel");
}

TEST(TokenizerJson, IdsAreEachOnceAndWithoutHoles) {
  EXPECT_PROBLEM(after([](Json& j) { j["model"]["vocab"]["he"] = 999; }),
                 "model.vocab.he: found 999, expected an id below the number of tokens, 267");
  EXPECT_PROBLEM(after([](Json& j) { j["model"]["vocab"]["he"] = 5; }),
                 "expected an id that no other token has");
  for (const Json& wrong : {Json(-1), Json(1.5), Json("7"), Json(std::int64_t{1} << 31)}) {
    EXPECT_PROBLEM(after([&](Json& j) { j["model"]["vocab"]["he"] = wrong; }),
                   "expected a token id");
  }
  EXPECT_PROBLEM(after([](Json& j) { j["model"]["vocab"][""] = testing::kSize; }),
                 "expected a token that is not empty");
  EXPECT_PROBLEM(after([](Json& j) {
                   j["model"]["vocab"] = Json::object();
                   j["model"]["merges"] = Json::array();
                   j["added_tokens"] = Json::array();
                   j["post_processor"] = Json();
                 }),
                 "model.vocab: no tokens");
  Json twice = small_tokenizer_json();
  std::string text = twice.dump();
  text.insert(text.find("\"he\": 256"), "\"he\": 256, ");
  try {
    Tokenizer::from_bytes(text, "t");
    FAIL() << "loaded";
  } catch (const BadInput& e) {
    EXPECT_PROBLEM(std::string(e.what()), "\"he\" stands twice");
  }
}

TEST(TokenizerJson, AddedTokensFitTheVocabulary) {
  const auto with = [](const Json& token) {
    return after([&](Json& j) { j["added_tokens"].push_back(token); });
  };
  EXPECT_EQ(with(added_token("<x>", testing::kSize, true)), "");
  EXPECT_EQ(with(added_token("hello", testing::kHello, false)), "");
  EXPECT_PROBLEM(with(added_token("hello", testing::kSize, false)),
                 "added_tokens[4].id: found 267, expected the id that the vocabulary has, 259");
  EXPECT_PROBLEM(with(added_token("<x>", 3, true)), "an id that no other token has");
  EXPECT_PROBLEM(with(added_token("<x>", testing::kSize + 1, true)), "ids without holes");
  EXPECT_PROBLEM(with(added_token("<|bos|>", testing::kBos, true)), "each added token once");
  EXPECT_PROBLEM(with(added_token("", testing::kSize, true)), "a token that is not empty");
}

TEST(TokenizerJson, MergesNameTokens) {
  const auto with = [](const Json& merge) {
    return after([&](Json& j) { j["model"]["merges"].push_back(merge); });
  };
  EXPECT_EQ(with("e l"),
            "t: model.merges[6]: found \"e l\", expected two tokens of the vocabulary "
            "that are a third one together");
  EXPECT_PROBLEM(with("日 l"), "expected two tokens of the vocabulary");
  EXPECT_PROBLEM(with("l l"), "expected each merge once");
  EXPECT_PROBLEM(with("ll"), "expected two tokens with a space between them");
  EXPECT_PROBLEM(with("h e l"), "expected two tokens with a space between them");
  EXPECT_PROBLEM(with(Json(Json::Array{"l"})), "expected two tokens");
  EXPECT_PROBLEM(with(Json(Json::Array{"l", 3})), "model.merges[6][1]: found 3, expected a string");
  EXPECT_PROBLEM(with(7), "expected a string");
  EXPECT_PROBLEM(after([](Json& j) { j["model"]["unk_token"] = "<unk>"; }),
                 "model.unk_token: found \"<unk>\", expected a token of the vocabulary");
}

TEST(TokenizerJson, SplitsAreThoseThatAreKnown) {
  const auto with = [](const std::function<void(Json&)>& change) {
    return after([&](Json& j) {
      Json split = j.at("pre_tokenizer").at("pretokenizers").at(0);
      change(split);
      j["pre_tokenizer"]["pretokenizers"] =
          Json(Json::Array{split, j.at("pre_tokenizer").at("pretokenizers").at(1)});
    });
  };
  EXPECT_EQ(with([](Json& s) { s["behavior"] = "Removed"; }), "");
  EXPECT_PROBLEM(
      with([](Json& s) { s["behavior"] = "MergedWithNext"; }),
      "pretokenizers[0].behavior: found \"MergedWithNext\", expected Isolated or Removed");
  EXPECT_PROBLEM(with([](Json& s) { s["type"] = "Metaspace"; }),
                 "found \"Metaspace\", expected Split, Digits or ByteLevel");
  EXPECT_PROBLEM(with([](Json& s) { s["pattern"]["Regex"] = "(?<a"; }),
                 "t: pre_tokenizer: pattern: PCRE2 refuses the regular expression");
  EXPECT_PROBLEM(with([](Json& s) { s["pattern"] = Json::object(); }), "\"Regex\" is missing");
  EXPECT_PROBLEM(after([](Json& j) {
                   const Json level = j.at("decoder");
                   j["pre_tokenizer"]["pretokenizers"] = Json(Json::Array{level, level});
                 }),
                 "expected nothing behind ByteLevel");
  EXPECT_PROBLEM(after([](Json& j) {
                   Json::Array many(17, j.at("pre_tokenizer").at("pretokenizers").at(0));
                   many.back() = j.at("decoder");
                   j["pre_tokenizer"]["pretokenizers"] = Json(std::move(many));
                 }),
                 "t: pre_tokenizer.pretokenizers: more than 16 splits");
}

TEST(TokenizerJson, TheTemplateIsSpecialTokensAndTheText) {
  const auto with = [](const std::function<void(Json&)>& change) {
    return after([&](Json& j) {
      Json post = j.at("post_processor").at("processors").at(1);
      change(post);
      j["post_processor"] = post;
    });
  };
  EXPECT_EQ(with([](Json&) {}), "");
  EXPECT_PROBLEM(with([](Json& p) { p["type"] = "BertProcessing"; }),
                 "found \"BertProcessing\", expected ByteLevel or TemplateProcessing");
  EXPECT_PROBLEM(with([](Json& p) { p["single"].push_back(p.at("single").at(0)); }),
                 "expected the text as the last item");
  EXPECT_PROBLEM(with([](Json& p) { p["single"] = Json(Json::Array{p.at("single").at(0)}); }),
                 "expected special tokens and then the text");
  EXPECT_PROBLEM(with([](Json& p) { p["special_tokens"] = Json::object(); }),
                 "the member \"<|bos|>\" is missing");
  EXPECT_PROBLEM(with([](Json& p) {
                   p["special_tokens"]["<|bos|>"]["ids"] = Json(Json::Array{testing::kSize});
                 }),
                 "expected a token's id");
}

}  // namespace
}  // namespace qlora
