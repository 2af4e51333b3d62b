#include "text/utf8.h"

#include <gtest/gtest.h>

#include <string>

namespace qlora {
namespace {

using State = Utf8Character::State;

TEST(Utf8, FirstAndLastCodePointOfEachLength) {
  const struct {
    const char* bytes;
    std::size_t length;
    char32_t code;
  } rows[] = {{"\x01", 1, 0x1},
              {"\x7F", 1, 0x7F},
              {"\xC2\x80", 2, 0x80},
              {"\xDF\xBF", 2, 0x7FF},
              {"\xE0\xA0\x80", 3, 0x800},
              {"\xED\x9F\xBF", 3, 0xD7FF},
              {"\xEE\x80\x80", 3, 0xE000},
              {"\xEF\xBF\xBF", 3, 0xFFFF},
              {"\xF0\x90\x80\x80", 4, 0x10000},
              {"\xF4\x8F\xBF\xBF", 4, 0x10FFFF}};
  for (const auto& row : rows) {
    const Utf8Character c = first_character(std::string(row.bytes) + "x");
    EXPECT_EQ(c.state, State::whole) << row.bytes;
    EXPECT_EQ(c.length, row.length) << row.bytes;
    EXPECT_EQ(c.code, row.code) << row.bytes;
  }
}

// Python 3.11: the characters c with c.isspace(), and some beside them.
TEST(Utf8, StripsTheWhiteSpaceOfPython) {
  const std::string space =
      "\t\n\v\f\r\x1C\x1D\x1E\x1F \u0085\u00A0\u1680\u2000\u200A\u2028\u2029"
      "\u202F\u205F\u3000";
  EXPECT_EQ(stripped(space), "");
  EXPECT_EQ(stripped(space + "a" + space + "é" + space), "a" + space + "é");
  for (const char* kept : {"\u200B", "\u2060", "\uFEFF", "\u180E", "\x1B", "\x7F", "\x80 \xFF"}) {
    EXPECT_EQ(stripped(std::string(" ") + kept + " "), kept);
  }
}

TEST(Utf8, RefusesWhatRfc3629Refuses) {
  // Continuation bytes, overlong forms, surrogates, above U+10FFFF, a letter within a character.
  for (const char* bytes : {"\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xE0\x80\x80", "\xE0\x9F\xBF",
                            "\xED\xA0\x80", "\xED\xBF\xBF", "\xF0\x80\x80\x80", "\xF0\x8F\xBF\xBF",
                            "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "\xE3\x61"}) {
    EXPECT_EQ(first_character(bytes).state, State::invalid);
    EXPECT_EQ(first_character(bytes).length, 0u);
    EXPECT_FALSE(is_utf8(bytes));
  }
}

TEST(Utf8, ABeginningIsUnfinished) {
  for (const char* bytes : {"", "\xC3", "\xE3", "\xE3\x81", "\xF0", "\xF0\x9F\x98"}) {
    EXPECT_EQ(first_character(bytes).state, State::unfinished);
  }
  EXPECT_TRUE(is_utf8(""));
  EXPECT_FALSE(is_utf8("ab\xE3\x81"));
  EXPECT_TRUE(is_utf8(std::string("a\0b", 3)));
}

// The table of the Unicode standard, 3.9, "U+FFFD Substitution of Maximal Subparts".
TEST(Utf8, ReplacesBeginningsOrBytes) {
  const std::string mark(kReplacementCharacter);
  const struct {
    std::string bytes;
    int beginnings;
    int bytes_replaced;
  } rows[] = {{"\xC0\xAF", 2, 2},
              {"\xE0\x80\xBF", 3, 3},
              {"\xED\xA0\x80", 3, 3},
              {"\xE1\x80", 1, 2},
              {"\xE1\x80\xE2\xF0\x91\x92", 3, 6},
              {"\xF1\xBF", 1, 2},
              {"\xF4\x90\x80\x80", 4, 4},
              {"\xFF", 1, 1}};
  for (const auto& row : rows) {
    const auto replaced = [&](int marks) {
      std::string text;
      for (int i = 0; i < marks; ++i) text += mark;
      return text + "A";
    };
    std::string held = row.bytes + "A";
    EXPECT_EQ(take_text(held, true, Replacement::of_beginnings), replaced(row.beginnings));
    EXPECT_EQ(held, "");
    held = row.bytes + "A";
    EXPECT_EQ(take_text(held, true, Replacement::of_bytes), replaced(row.bytes_replaced));
  }
}

TEST(Utf8, KeepsWhatIsUnfinished) {
  std::string held = "a\xF0\x9F\x98";
  EXPECT_EQ(take_text(held, false, Replacement::of_bytes), "a");
  EXPECT_EQ(held, "\xF0\x9F\x98");
  held += "\x80";
  EXPECT_EQ(take_text(held, false, Replacement::of_bytes), "😀");
}

}  // namespace
}  // namespace qlora
