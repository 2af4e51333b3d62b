#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/files.h"
#include "course/svg.h"
#include "course/svg_canvas.h"
#include "course/text.h"

namespace qlora {
namespace {

// The name of a group under its bars, in as many lines as it needs. @return how many
std::size_t draw_group_name(Canvas& canvas, const std::string& name, double x, double y,
                            double width, bool draw) {
  const auto columns = static_cast<std::size_t>(std::max(1.0, width / text_width("n", kSmall)));
  const auto lines = wrapped(name, columns);
  for (std::size_t i = 0; draw && i < lines.size(); ++i) {
    canvas.text(x, y + 17.0 + 16.0 * static_cast<double>(i), lines[i], kSmall, "middle");
  }
  return lines.size();
}

double deviation_of(const BarSeries& s, std::size_t group) {
  const double d = s.deviations.empty() ? 0.0 : s.deviations[group];
  return std::isfinite(d) ? d : 0.0;
}

// The line from value - deviation to value + deviation.
void draw_deviation(Canvas& canvas, const Axis& y, double x, double value, double deviation) {
  const double low = y.at(value - deviation), high = y.at(value + deviation);
  canvas.line(x, low, x, high, kInk, 1.5);
  for (const double end : {low, high}) canvas.line(x - 5.0, end, x + 5.0, end, kInk, 1.5);
}

// One size for all numbers on bars, so that the widest fits its bar; 0 where it could not be read.
double number_size(const BarChart& chart, double bar) {
  double size = kSmall;
  for (const BarSeries& s : chart.series) {
    for (double v : s.values) {
      size = std::min(size, kSmall * bar / text_width(readable(v, 3), kSmall));
    }
  }
  return chart.values_on_bars && size >= 8.0 ? size : 0.0;
}

// From zero, or below it, to the end of the longest deviation. @throws std::invalid_argument
Axis value_axis(const BarChart& chart) {
  Axis y;
  y.low = 0.0;
  y.high = 0.0;
  for (const BarSeries& s : chart.series) {
    require(s.values.size() == chart.groups.size(), "svg", "one value for each group");
    require(s.deviations.empty() || s.deviations.size() == s.values.size(), "svg",
            "a deviation for each value, or none");
    for (std::size_t g = 0; g < s.values.size(); ++g) {
      if (!y.shows(s.values[g])) continue;
      y.low = std::min(y.low, s.values[g] - deviation_of(s, g));
      y.high = std::max(y.high, s.values[g] + deviation_of(s, g));
    }
  }
  if (y.high == y.low) y.high = 1.0;
  return y;
}

// The bars of group g side by side from `begin` on, each `bar` wide, with their numbers in `size`.
void draw_group(Canvas& canvas, const BarChart& chart, const Axis& y, std::size_t g, double begin,
                double bar, double size) {
  for (std::size_t s = 0; s < chart.series.size(); ++s) {
    const double value = chart.series[s].values[g];
    if (!y.shows(value)) continue;
    const double x = begin + bar * static_cast<double>(s);
    const double upper = std::min(y.at(value), y.at(0.0));
    canvas.box(x, upper, bar * 0.94, std::abs(y.at(value) - y.at(0.0)), color_of(s));
    const double deviation = deviation_of(chart.series[s], g);
    if (deviation > 0.0) draw_deviation(canvas, y, x + bar * 0.47, value, deviation);
    if (size == 0.0) continue;
    const double above = value < 0.0 ? y.at(value - deviation) + size + 2.0
                                     : std::min(upper, y.at(value + deviation)) - 4.0;
    canvas.text(x + bar * 0.47, above, readable(value, 3), size, "middle");
  }
}

}  // namespace

std::string svg(const BarChart& chart) {
  Axis y = value_axis(chart);
  const auto ticks = make_nice(y);

  Canvas canvas;
  double top = chart.title.empty() ? 12.0 : canvas.title(chart.title);
  std::vector<LegendEntry> legend;
  for (std::size_t i = 0; i < chart.series.size(); ++i) {
    const std::string& name = chart.series[i].name;
    if (!name.empty()) legend.push_back({name, color_of(i), LegendEntry::Sample::box});
  }
  top = draw_legend(canvas, top, legend) + 14.0;
  double widest = 0.0;
  for (const Tick& t : ticks) widest = std::max(widest, text_width(t.label, kSmall));
  const double left = 16.0 + (chart.y_label.empty() ? 0.0 : 24.0) + widest;
  const double right = Canvas::kWidth - 16.0;
  const double group =
      (right - left) / static_cast<double>(std::max<std::size_t>(chart.groups.size(), 1));
  std::size_t lines = 1;
  for (const std::string& name : chart.groups) {
    lines = std::max(lines, draw_group_name(canvas, name, 0, 0, group - 8.0, false));
  }
  y.from = Canvas::kHeight - 14.0 - 16.0 * static_cast<double>(lines);
  y.to = top;

  for (const Tick& t : ticks) {
    canvas.line(left, y.at(t.value), right, y.at(t.value), kGrid, 1.0);
    canvas.text(left - 8.0, y.at(t.value) + 4.5, t.label, kSmall, "end");
  }
  if (!chart.y_label.empty()) {
    canvas.text_upwards(20.0, (y.from + y.to) / 2.0, chart.y_label, kSmall + 1);
  }
  const double bar =
      0.8 * group / static_cast<double>(std::max<std::size_t>(chart.series.size(), 1));
  const double size = number_size(chart, bar);
  for (std::size_t g = 0; g < chart.groups.size(); ++g) {
    const double begin = left + group * (static_cast<double>(g) + 0.1);
    draw_group(canvas, chart, y, g, begin, bar, size);
    draw_group_name(canvas, chart.groups[g], begin + 0.4 * group, y.from, group - 8.0, true);
  }
  canvas.line(left, y.at(0.0), right, y.at(0.0), kInk, 1.2);
  return canvas.finish();
}

void write_svg(const std::string& path, const BarChart& chart) {
  write_atomically(path, svg(chart));
}

}  // namespace qlora
