#include "text/pre_tokenizer.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace qlora {
namespace {

using Syntax = Regex::Syntax;
using Pieces = std::vector<std::string>;

Regex regex(std::string_view pattern, Syntax syntax = Syntax::expression) {
  return {pattern, syntax, "tokenizer.json", "pre_tokenizer"};
}

Pieces pieces(const PreTokenizer& splits, std::string_view text) {
  Pieces out;
  splits.split(text, [&](std::string_view piece) { out.emplace_back(piece); });
  return out;
}

Pieces llama3(std::string_view text) {
  return pieces(PreTokenizer({{regex(kLlama3Split)}}), text);
}

std::string problem_of(std::string_view pattern, std::string_view text = "") {
  try {
    pieces(PreTokenizer({{regex(pattern)}}), text);
  } catch (const BadInput& e) {
    return e.what();
  }
  return "";
}

TEST(Llama3Split, EachAlternative) {
  EXPECT_EQ(llama3("I'm I'LL"), (Pieces{"I", "'m", " I", "'LL"}));
  EXPECT_EQ(llama3("(word"), (Pieces{"(word"}));
  EXPECT_EQ(llama3("1234567"), (Pieces{"123", "456", "7"}));
  EXPECT_EQ(llama3("a !?\n\nb"), (Pieces{"a", " !?\n\n", "b"}));
  EXPECT_EQ(llama3("a \n \n  b"), (Pieces{"a", " \n \n", " ", " b"}));
  EXPECT_EQ(llama3("a   b"), (Pieces{"a", "  ", " b"}));
  EXPECT_EQ(llama3("a   "), (Pieces{"a", "   "}));
  EXPECT_EQ(llama3("  12"), (Pieces{" ", " ", "12"}));
}

TEST(Llama3Split, LettersNumbersAndSpacesAreUnicodes) {
  EXPECT_EQ(llama3("é日Ж ½１"), (Pieces{"é日Ж", " ", "½１"}));
  EXPECT_EQ(llama3("e\xCC\x81"), (Pieces{"e", "\xCC\x81"}));    // a combining mark is no letter
  EXPECT_EQ(llama3("'\xC5\xBFx"), (Pieces{"'\xC5\xBF", "x"}));  // ſ is an s of another case
  for (const char* space :
       {"\xC2\x85", "\xC2\xA0", "\xE1\x9A\x80", "\xE2\x80\xA8", "\xE3\x80\x80"}) {
    const std::string twice = std::string(space) + space;
    EXPECT_EQ(llama3("a" + twice + "1"), (Pieces{"a", space, space, "1"})) << twice;
  }
  // Not white space: U+001C, U+180E, U+200B.
  for (const char* other : {"\x1C", "\xE1\xA0\x8E", "\xE2\x80\x8B"}) {
    const std::string twice = std::string(other) + other;
    EXPECT_EQ(llama3("1" + twice + "1"), (Pieces{"1", twice, "1"})) << twice;
  }
}

TEST(PreTokenizer, NothingSplitsNothing) {
  EXPECT_EQ(pieces(PreTokenizer({}), "a b"), (Pieces{"a b"}));
  EXPECT_EQ(pieces(PreTokenizer({}), ""), Pieces{});
  EXPECT_EQ(llama3(""), Pieces{});
}

TEST(PreTokenizer, MatchesAndRestAreKeptOrDropped) {
  EXPECT_EQ(pieces(PreTokenizer({{regex("l+")}}), "hello"), (Pieces{"he", "ll", "o"}));
  EXPECT_EQ(pieces(PreTokenizer({{regex("l+"), true, false}}), "hello"), (Pieces{"he", "o"}));
  EXPECT_EQ(pieces(PreTokenizer({{regex("l+"), false, true}}), "hello"), (Pieces{"ll"}));
  EXPECT_EQ(pieces(PreTokenizer({{regex(".l", Syntax::literal)}}), "al.l"), (Pieces{"al", ".l"}));
}

TEST(PreTokenizer, EachStepCutsThePiecesOfTheOneBefore) {
  const PreTokenizer two({{regex(R"(\p{N})")}, {regex("^.")}});
  EXPECT_EQ(pieces(two, "ab1cd"), (Pieces{"a", "b", "1", "c", "d"}));
}

// As the tokenizers library's matches: an empty one is a cut, but not at the end of the one before.
TEST(PreTokenizer, EmptyMatchesCut) {
  EXPECT_EQ(pieces(PreTokenizer({{regex("x*")}}), "axxé"), (Pieces{"a", "xx", "é"}));
  EXPECT_EQ(pieces(PreTokenizer({{regex("(?<=l)")}}), "hello"), (Pieces{"hel", "l", "o"}));
}

TEST(PreTokenizer, ALongRunTakesNoSquareOfItsLength) {
  const std::string spaces(std::size_t{1} << 20, ' ');
  EXPECT_EQ(llama3(spaces + "1").size(), 3u);
  EXPECT_EQ(llama3(std::string(std::size_t{1} << 20, 'a')).size(), 1u);
  // More groups than the compiled form's stack holds.
  EXPECT_EQ(pieces(PreTokenizer({{regex("(?:a|b)+")}}), std::string(50000, 'a')).size(), 1u);
}

TEST(Regex, NamesThePlaceAndTheReason) {
  EXPECT_EQ(problem_of("a("),
            "tokenizer.json: pre_tokenizer: PCRE2 refuses the regular expression: missing closing "
            "parenthesis");
  EXPECT_NE(problem_of("\\C").find("PCRE2 refuses"), std::string::npos);
  EXPECT_NE(problem_of("\xFF").find("PCRE2 refuses"), std::string::npos);
  EXPECT_NE(problem_of("").find("a pattern of no bytes"), std::string::npos);
  EXPECT_NE(problem_of(std::string(70000, 'a')).find("more than 65,536"), std::string::npos);
}

TEST(Regex, GivesUpOnWhatTakesForever) {
  EXPECT_NE(problem_of("(?:a+)+b|(?:a+)+c", std::string(60, 'a') + "d").find("gave up on a text"),
            std::string::npos);
}

}  // namespace
}  // namespace qlora
