#include "course/text.h"

#include <gtest/gtest.h>

#include <limits>

namespace qlora {
namespace {

using Lines = std::vector<std::string>;

TEST(Text, WidthCountsColumnsAndNotBytes) {
  EXPECT_EQ(display_width(""), 0u);
  EXPECT_EQ(display_width("abc"), 3u);
  EXPECT_EQ(display_width("é ≤ α"), 5u);
  EXPECT_EQ(display_width("e\u0301"), 1u);  // a combining accent
  EXPECT_EQ(display_width("日本"), 4u);
  EXPECT_EQ(display_width("\xff\xc3"), 2u);  // bytes that are no UTF-8 stand for themselves
}

TEST(Text, FittingKeepsWholeCodePoints) {
  EXPECT_EQ(fitting("≤≤≤", 2), "≤≤");
  EXPECT_EQ(fitting("日本", 3), "日");
  EXPECT_EQ(fitting("ab", 5), "ab");
}

TEST(Text, MarkupIsEscapedAndControlCharactersLeftOut) {
  EXPECT_EQ(escaped_markup("<a b=\"c\">&'"), "&lt;a b=&quot;c&quot;&gt;&amp;&#39;");
  EXPECT_EQ(escaped_markup(std::string_view("a\0b\x1b\x7f\n\tλ", 9)), "ab\n\tλ");
}

TEST(Text, PaddingGoesByColumns) {
  EXPECT_EQ(padded("≤", 3), "≤  ");
  EXPECT_EQ(padded("12", 4, true), "  12");
  EXPECT_EQ(padded("long", 2), "long");
}

TEST(Text, WrapsAtSpaces) {
  EXPECT_EQ(wrapped("one two three", 7), (Lines{"one two", "three"}));
  EXPECT_EQ(wrapped("one two three", 8), (Lines{"one two", "three"}));
  EXPECT_EQ(wrapped("", 5), Lines{""});
  EXPECT_EQ(wrapped("a\n\nb", 5), (Lines{"a", "", "b"}));
}

TEST(Text, BreaksWordsThatAreLongerThanALine) {
  EXPECT_EQ(wrapped("abcdefgh", 3), (Lines{"abc", "def", "gh"}));
  EXPECT_EQ(wrapped("x abcdef y", 3), (Lines{"x", "abc", "def", "y"}));
  EXPECT_EQ(wrapped("日本", 1), (Lines{"日", "本"}));  // wider than the line, and yet it ends
  EXPECT_EQ(wrapped("ab", 0), (Lines{"a", "b"}));
}

TEST(Text, NoLineIsWiderThanAsked) {
  const std::string text = "scale ≤ 1/255, Größe élan; a_very_long_identifier_without_spaces ok";
  for (std::size_t width = 1; width < 80; ++width) {
    for (const std::string& line : wrapped(text, width)) EXPECT_LE(display_width(line), width);
  }
}

TEST(Text, NumbersForPeople) {
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(18350080), "18,350,080");
  EXPECT_EQ(grouped(-1000), "-1,000");
  EXPECT_EQ(grouped(std::numeric_limits<std::int64_t>::min()), "-9,223,372,036,854,775,808");
  EXPECT_EQ(readable(196608), "196,608");
  EXPECT_EQ(readable(3.9215686274509802), "3.92157");
  EXPECT_EQ(readable(-0.0), "0");
  EXPECT_EQ(readable(1e20, 4), "1e+20");
  EXPECT_EQ(readable(std::numeric_limits<double>::quiet_NaN()), "nan");
}

TEST(Text, ClockTimes) {
  EXPECT_EQ(clock_time(0), "0:00");
  EXPECT_EQ(clock_time(59.9), "0:59");
  EXPECT_EQ(clock_time(754), "12:34");
  EXPECT_EQ(clock_time(3723), "1:02:03");
  EXPECT_EQ(clock_time(-3), "0:00");
}

}  // namespace
}  // namespace qlora
