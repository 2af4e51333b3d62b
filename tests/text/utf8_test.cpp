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

}  // namespace
}  // namespace qlora
