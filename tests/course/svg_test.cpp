#include "course/svg.h"

#include <gtest/gtest.h>

#include <limits>

#include "core/error.h"
#include "core/files.h"
#include "support/golden.h"

namespace qlora {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

// What is wrong with a document: tags that do not balance, a stray < or &, a number that is none.
std::string problem_with(const std::string& text) {
  std::vector<std::string> open;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '&') {
      const std::string entity = text.substr(i, text.find(';', i) - i + 1);
      if (entity != "&amp;" && entity != "&lt;" && entity != "&gt;" && entity != "&quot;" &&
          entity != "&#39;") {
        return "stray & in " + entity;
      }
    }
    if (text[i] != '<') continue;
    const std::size_t end = text.find('>', i);
    if (end == std::string::npos) return "a tag is not closed";
    const std::string tag = text.substr(i + 1, end - i - 1);
    if (tag.find('<') != std::string::npos) return "< inside a tag";
    const std::string name = tag.substr(0, tag.find(' '));
    if (name.starts_with("/")) {
      if (open.empty() || "/" + open.back() != name) return "closes " + name;
      open.pop_back();
    } else if (!tag.ends_with("/")) {
      open.push_back(name);
    }
    i = end;
  }
  if (!open.empty()) return open.back() + " stays open";
  for (const char* word : {"\"nan", "\"-nan", "\"inf", "\"-inf", ",nan", ",inf"}) {
    if (text.find(word) != std::string::npos) return std::string("holds ") + word;
  }
  return text.starts_with("<svg xmlns=") ? "" : "does not begin with <svg>";
}

std::size_t count(const std::string& text, std::string_view part) {
  std::size_t n = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

LineChart chart(std::vector<double> x, std::vector<double> y, bool log = false) {
  return {"t", "x", "y", log, log, {{"", std::move(x), std::move(y)}}};
}

TEST(SvgLine, IsWellFormedWithTitlesLabelsAndLegend) {
  LineChart c{"Loss <base> & \"tuned\"", "step", "loss", false, false, {}};
  c.series.push_back({"training", {0, 1, 2}, {3, 2, 1}});
  c.series.push_back({"held-out", {0, 2}, {3, 1.5}, true});
  const std::string out = svg(c);
  EXPECT_EQ(problem_with(out), "");
  EXPECT_EQ(count(out, "Loss &lt;base&gt; &amp; &quot;tuned&quot;"), 1u);
  for (const char* word : {">step<", ">loss<", ">training<", ">held-out<"}) {
    EXPECT_EQ(count(out, word), 1u) << word;
  }
  EXPECT_EQ(count(out, "<circle"), 3u);  // two points, one in the legend
}

TEST(SvgLine, ControlCharactersDoNotReachTheFile) {
  EXPECT_EQ(svg(LineChart{"a\x01\nb", "", "", false, false, {}}).find('\x01'), std::string::npos);
}

TEST(SvgLine, NumbersThatAreNoneAreGaps) {
  EXPECT_EQ(count(svg(chart({0, 1, 2, 3, 4}, {1, 2, 3, 4, 5})), "<polyline"), 1u);
  const std::string gap = svg(chart({0, 1, 2, 3, 4}, {1, 2, kNaN, 4, 5}));
  EXPECT_EQ(count(gap, "<polyline"), 2u);
  EXPECT_EQ(problem_with(gap), "");
  const std::string alone = svg(chart({0, 1, 2}, {1, kInf, 3}));
  EXPECT_EQ(count(alone, "<polyline"), 0u);
  EXPECT_EQ(count(alone, "<circle"), 2u);  // a point between gaps is still seen
  EXPECT_EQ(count(svg(chart({1, 2, 3, 4}, {1, 2, 0, 4}, true)), "<polyline"), 1u);
}

TEST(SvgLine, HasNiceTicks) {
  const std::string linear = svg(chart({0, 400}, {1.7, 8.1}));
  for (const char* label : {">0<", ">100<", ">200<", ">300<", ">400<", ">2<", ">8<", ">10<"}) {
    EXPECT_GE(count(linear, label), 1u) << label;
  }
  const std::string decades = svg(chart({64, 4e6}, {1e-5, 1e-1}, true));
  for (const char* label : {">10<", ">1,000,000<", ">0.1<", ">1e-05<"}) {
    EXPECT_EQ(count(decades, label), 1u) << label;
  }
  const std::string narrow = svg(chart({1e-4, 5e-4}, {1.21, 1.4}, true));
  for (const char* label : {">0.0001<", ">0.0002<", ">0.0005<", ">1.2<", ">1.3<", ">1.4<"}) {
    EXPECT_EQ(count(narrow, label), 1u) << label;
  }
}

TEST(SvgLine, DegenerateDataStillGiveAFigure) {
  const std::vector<std::vector<double>> data = {{},
                                                 {kNaN},
                                                 {3},
                                                 {0, 0},
                                                 {-5, -5},
                                                 {1e16, 1e16 + 2},
                                                 {1e-320, 1e-319},
                                                 {-1e308, 1e308},
                                                 {kInf, -kInf},
                                                 {1e-90, 1e90},
                                                 {1.0, 1.0 + 1e-12},
                                                 {1e99, -1e99}};
  for (const auto& x : data) {
    for (const auto& y : data) {
      if (x.size() != y.size()) continue;
      for (bool log : {false, true}) EXPECT_EQ(problem_with(svg(chart(x, y, log))), "");
    }
  }
}

TEST(SvgLine, SeriesOfUnequalLengthsAreAMistake) {
  EXPECT_THROW(svg(chart({1, 2}, {1})), std::invalid_argument);
}

TEST(SvgBar, HasABarForEachFiniteValue) {
  BarChart c{
      "Memory", "GB", {"FP32", "INT8 & more"}, {{"course", {13, kNaN}}, {"here", {12.85, -1}}}};
  const std::string out = svg(c);
  EXPECT_EQ(problem_with(out), "");
  EXPECT_EQ(count(out, "<rect"), 1u + 3u + 2u);  // background, bars, legend
  EXPECT_EQ(count(out, ">12.8<") + count(out, ">12.9<"), 1u);
  EXPECT_EQ(count(out, "INT8 &amp; more"), 1u);
  c.values_on_bars = false;
  EXPECT_EQ(count(svg(c), ">12.8<") + count(svg(c), ">12.9<"), 0u);
}

TEST(SvgBar, DeviationsAreDrawnAroundTheEndAndFitThePlot) {
  BarChart c{"", "", {"a", "b"}, {{"", {1.0, 2.0}, {0.0, 0.5}}}};
  const std::string with = svg(c);
  EXPECT_EQ(problem_with(with), "");
  c.series[0].deviations.clear();
  EXPECT_EQ(count(with, "<line"),
            count(svg(c), "<line") + 3 + 1);  // and one more grid line, at 2.5
  c.series[0].deviations = {1.0};
  EXPECT_THROW(svg(c), std::invalid_argument);
}

TEST(SvgBar, DegenerateDataStillGiveAFigure) {
  for (const std::vector<double>& values :
       {std::vector<double>{}, {0}, {kNaN}, {kInf, 1}, {-3, -4}, {1e308, -1e308}, {1e-300, 0}}) {
    BarChart c{"", "", std::vector<std::string>(values.size(), "a group"), {{"s", values}}};
    EXPECT_EQ(problem_with(svg(c)), "");
  }
  EXPECT_EQ(problem_with(svg(BarChart{})), "");
  EXPECT_THROW(svg(BarChart{"", "", {"a"}, {{"s", {1, 2}}}}), std::invalid_argument);
}

TEST(Svg, IsWrittenAsAFile) {
  const std::string path = testing::scratch() / "loss.svg";
  write_svg(path, chart({0, 1}, {2, 3}));
  EXPECT_EQ(read_file(path), svg(chart({0, 1}, {2, 3})));
  EXPECT_THROW(write_svg("/no-such-folder/loss.svg", BarChart{}), BadInput);
}

}  // namespace
}  // namespace qlora
