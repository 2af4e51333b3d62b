#include "course/svg_levels.h"

#include <gtest/gtest.h>

#include <limits>

#include "core/files.h"
#include "support/golden.h"

namespace qlora {
namespace {

std::size_t count(const std::string& text, std::string_view part) {
  std::size_t n = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

constexpr std::string_view kFirst = "stroke=\"#0072b2\"";   // color of the first line's levels
constexpr std::string_view kSecond = "stroke=\"#d55e00\"";  // and of the second's

TEST(SvgLevels, EveryLevelIsAMarkOnItsOwnLine) {
  const LevelChart chart{
      "Levels", "x", {}, 80, {{"two", {-1.0, 1.0}}, {"four", {-1.0, -0.5, 0.5, 1.0}}}};
  const std::string text = svg(chart);
  EXPECT_EQ(count(text, kFirst), 2u);
  EXPECT_EQ(count(text, kSecond), 4u);
  for (const char* word : {">Levels<", ">x<", ">two<", ">four<"}) EXPECT_EQ(count(text, word), 1u);
  EXPECT_TRUE(text.starts_with("<svg xmlns="));
  EXPECT_TRUE(text.ends_with("</svg>\n"));
}

TEST(SvgLevels, LevelsGoThroughTheHistogramOnRequest) {
  const LevelChart chart{"", "", {0.0, 1.0, 2.0}, 4, {{"", {0.5, 1.5}, true}}};
  EXPECT_EQ(count(svg(chart), kFirst), 4u);
}

TEST(SvgLevels, BarsAreAsHighAsTheirShareOfTheFullestBin) {
  // Three of the values in the first bin, one in the last: heights 1 and 1/3 of the plot.
  const LevelChart chart{"", "", {0.0, 0.1, 0.2, 1.0}, 2, {}};
  const std::string text = svg(chart);
  EXPECT_EQ(count(text, "fill=\"#b8c7d6\""), 2u);
  EXPECT_EQ(count(text, "height=\"430.00\""), 1u);
  EXPECT_EQ(count(text, "height=\"143.33\""), 1u);
}

TEST(SvgLevels, WhatIsNotFiniteIsLeftOut) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  const LevelChart chart{"", "", {nan, 1.0, infinity}, 3, {{"", {nan, 0.0, -infinity}}}};
  const std::string text = svg(chart);
  EXPECT_EQ(count(text, kFirst), 1u);
  EXPECT_EQ(text.find("nan"), std::string::npos);
  EXPECT_EQ(text.find("inf"), std::string::npos);
}

TEST(SvgLevels, RefusesWhatCannotBeDrawn) {
  EXPECT_THROW(svg(LevelChart{}), std::invalid_argument);
  EXPECT_THROW(svg(LevelChart{"", "", {1.0}, 0, {}}), std::invalid_argument);
  EXPECT_THROW(svg(LevelChart{"", "", {}, 1, std::vector<LevelLine>(9)}), std::invalid_argument);
}

TEST(SvgLevels, WritesTheFile) {
  const std::string path = (testing::scratch() / "levels.svg").string();
  const LevelChart chart{"", "", {}, 1, {{"", {1.0}}}};
  write_svg(path, chart);
  EXPECT_EQ(read_file(path), svg(chart));
}

}  // namespace
}  // namespace qlora
