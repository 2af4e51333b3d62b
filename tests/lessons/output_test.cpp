// Shown output against printed output: what may differ, and what may not.
#include "lessons/output.h"

#include <gtest/gtest.h>

#include "lessons/token.h"

namespace qlora::testing {
namespace {

// "line: problem", or "" where there is no difference.
std::string text_of(const std::optional<Difference>& found) {
  const Difference d = found.value_or(Difference{});
  return found ? std::to_string(d.line) + ": " + d.problem : "";
}

TEST(OutputLine, TextIsExactButForSpaces) {
  EXPECT_TRUE(same_line("code  value", "code value"));
  EXPECT_TRUE(same_line("  code value", "code value  "));
  EXPECT_FALSE(same_line("code value", "codes value"));
  EXPECT_FALSE(same_line("code value", "code value."));
  EXPECT_FALSE(same_line("code", "code value"));
  EXPECT_FALSE(same_line("codevalue", "code value"));
}

TEST(OutputLine, WholeNumbersAreExact) {
  EXPECT_TRUE(same_line("18,350,080 parameters", "18,350,080 parameters"));
  EXPECT_FALSE(same_line("18,350,080 parameters", "18,350,081 parameters"));
  EXPECT_FALSE(same_line("255", "256"));
  EXPECT_FALSE(same_line("-5", "5"));
  EXPECT_FALSE(same_line("255", "255.0"));
}

TEST(OutputLine, AFractionMayDifferByAUnitOfItsLastDigit) {
  EXPECT_TRUE(same_line("error 0.0796", "error 0.0797"));
  EXPECT_FALSE(same_line("error 0.0796", "error 0.0798"));
  EXPECT_FALSE(same_line("error 0.0796", "error -0.0796"));
  EXPECT_TRUE(same_line("9.99 %", "10.00 %"));
  EXPECT_FALSE(same_line("0.5", "0.50"));  // printed otherwise: the lesson is old
}

TEST(OutputLine, OrByAMillionth) {
  EXPECT_TRUE(same_line("3.921568627", "3.921570627"));   // 5e-7
  EXPECT_FALSE(same_line("3.921568627", "3.921578627"));  // 3e-6
  EXPECT_TRUE(same_line("1.234e-05", "1.235e-05"));
  EXPECT_FALSE(same_line("1.234e-05", "1.237e-05"));
  EXPECT_FALSE(same_line("1.234e-05", "1.234e-06"));
}

TEST(OutputLine, NoNumberIsNoNumber) {
  EXPECT_FALSE(same_line("error 0.1", "error nan"));
  EXPECT_TRUE(same_line("error nan", "error nan"));
  EXPECT_FALSE(same_line("int8", "int4"));
  EXPECT_FALSE(same_line("NF4 0.25", "FP4 0.25"));
  EXPECT_FALSE(same_line("3-4", "3-5"));
  EXPECT_FALSE(same_line("g++ 12.2.0", "g++ 12.2.1"));  // a version
  EXPECT_TRUE(same_line("[0.10,0.20]", "[0.11,0.19]"));
}

TEST(OutputLine, TimesRatesDatesAndCommitsMayChange) {
  EXPECT_TRUE(same_line("took 3.2 s", "took 12 s"));
  EXPECT_TRUE(same_line("took 120 ms,", "took 3 ms,"));
  EXPECT_TRUE(same_line("after 0:07 of 3:12", "after 1:02:03 of 3:15"));
  EXPECT_TRUE(same_line("4,300 tokens/s", "5,210.5 tokens/s"));
  EXPECT_TRUE(same_line("2.4 GB/s", "3.1 GB/s"));
  EXPECT_TRUE(same_line("on 2026-01-31", "on 2025-11-03T10:20:30Z"));
  EXPECT_TRUE(same_line("commit 72b3df5c01aa, Release", "commit 0123456789ab-dirty, Release"));
}

TEST(OutputLine, WhatOnlyLooksLikeATimeMayNot) {
  EXPECT_FALSE(same_line("3 steps", "4 steps"));
  EXPECT_FALSE(same_line("3.2 sizes", "4.2 sizes"));
  EXPECT_FALSE(same_line("12 MB", "13 MB"));
  EXPECT_FALSE(same_line("took 3.2 s", "took 3.2"));
  EXPECT_FALSE(same_line("took 3.2 s", "took long"));
  EXPECT_FALSE(same_line("ratio 1:2", "ratio 1:3"));
}

TEST(OutputLine, RulesOfATableMayBeOfAnyLength) {
  EXPECT_TRUE(same_line("────  ───", "─────  ────────"));
  EXPECT_FALSE(same_line("---", "────"));
}

TEST(Output, AllLinesMustBeThere) {
  const Lines printed = {"one", "two 2.5", "three", ""};
  EXPECT_FALSE(difference({"one", "two 2.5", "three"}, printed));
  EXPECT_EQ(text_of(difference({"one", "two 2.5"}, printed)), "2: is also printed: three");
  EXPECT_EQ(text_of(difference({"one", "two 2.5", "three", "four"}, printed)),
            "3: is not printed: four");
  EXPECT_EQ(text_of(difference({"two 2.5", "three"}, printed)), "0: shows: two 2.5\n  prints: one");
  EXPECT_TRUE(difference({}, printed));
  EXPECT_FALSE(difference({}, {""}));
}

TEST(Output, AChangedDigitIsNamed) {
  EXPECT_EQ(text_of(difference({"one", "two 2.5", "…"}, {"one", "two 2.7", "three"})),
            "1: shows: two 2.5\n  prints: two 2.7");
}

TEST(Output, ASkipStandsForAnyLines) {
  const Lines printed = {"one", "two", "three", "four", "five"};
  EXPECT_FALSE(difference({"…"}, printed));
  EXPECT_FALSE(difference({"one", "…", "five"}, printed));
  EXPECT_FALSE(difference({"one", "…", "two", "three", "…"}, printed));  // also for none
  EXPECT_FALSE(difference({"  …", "three", "four", "…"}, printed));
  EXPECT_TRUE(difference({"…", "four"}, printed));  // five is left out silently
  EXPECT_TRUE(difference({"two", "…"}, printed));   // and so is one
  EXPECT_TRUE(difference({"one", "…", "three", "five"}, printed));
  EXPECT_TRUE(difference({"one", "…", "four", "…", "two", "…"}, printed));  // another order
  EXPECT_EQ(text_of(difference({"one", "…", "six", "…"}, printed)), "2: is not printed: six");
  EXPECT_EQ(text_of(difference({"…", "two", "four", "…"}, printed)),
            "1: is printed, but not with the lines below: two");
  EXPECT_EQ(text_of(difference({"…", "a 1.5", "…"}, {"x", "a 1.7", "y"})),
            "1: shows: a 1.5\n  prints: a 1.7");
}

TEST(Output, UpdateKeepsWhatIsLeftOut) {
  const Lines printed = {"one 1.5", "two", "three 3", "took 9 s"};
  const auto now = [&](const Lines& shown) { return updated(shown, printed).value_or(Lines{}); };
  EXPECT_EQ(now({"old", "lines"}), printed);
  EXPECT_EQ(now({"one 1.9", "…", "three 4", "…"}), (Lines{"one 1.5", "…", "three 3", "…"}));
  EXPECT_FALSE(updated({"one 1.5", "…", "thirty 3", "…"}, printed));  // words are gone
  // A time alone is no reason to touch the lesson.
  EXPECT_EQ(now({"…", "took 3 s"}), (Lines{"…", "took 3 s"}));
}

TEST(OutputBand, OnlyNumbersWithRangesCount) {
  const Lines printed = {"base    299.5", "step 10: loss 2.31, 4 tokens", "tuned    21.8 of 44",
                         "it says: $ 12"};
  const auto agrees = [&](const Lines& shown) { return !band_difference(shown, printed); };
  EXPECT_TRUE(agrees({"tuned 25.0 [15..30] of 44"}));
  EXPECT_TRUE(agrees({"base 300 [200..400]", "tuned 25.0[15..30] of 44 [40..50]"}));
  EXPECT_TRUE(agrees({"other words, no range 7"}));
  EXPECT_TRUE(agrees({"step 90: loss 2.5 [2..3]"}));
  EXPECT_EQ(text_of(band_difference({"tuned 18 [15..20]"}, printed)),
            "0: prints 21.8 in place of 18, out of its range");
  EXPECT_FALSE(agrees({"tuned 25.0 [15..30] of 44 [0..40]"}));
  EXPECT_FALSE(agrees({"best 25.0 [15..30]"}));                        // no such line
  EXPECT_FALSE(agrees({"tuned 22 [15..30]", "base 300 [200..400]"}));  // another order
  EXPECT_FALSE(agrees({"it says: [15..30] 22 [15..30]"}));
  EXPECT_TRUE(band_difference({"tuned 22 [15..30]"}, {"tuned nan of 44"}));
  EXPECT_TRUE(band_difference({"tuned 22 [15..30]"}, {"tuned nan"}));
  EXPECT_TRUE(band_difference({"tuned -22 [-30..-15]"}, {"tuned 22"}));
}

TEST(OutputBand, TimesCanHaveARange) {
  EXPECT_FALSE(band_difference({"took 200 [150..240] s"}, {"took 192.4 s"}));
  EXPECT_TRUE(band_difference({"took 200 [150..240] s"}, {"took 300 s"}));
}

}  // namespace
}  // namespace qlora::testing
