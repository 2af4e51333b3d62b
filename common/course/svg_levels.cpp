#include "course/svg_levels.h"

#include <algorithm>
#include <limits>

#include "core/error.h"
#include "core/files.h"
#include "course/svg_canvas.h"

namespace qlora {
namespace {

constexpr double kLineHeight = 44.0;  // of a number line with its name
constexpr double kLeft = 24.0;
constexpr std::string_view kBars = "#b8c7d6";

Axis axis_over(const LevelChart& chart) {
  Axis axis;
  double low = std::numeric_limits<double>::infinity();
  double high = -low;
  const auto consider = [&](const std::vector<double>& values) {
    for (const double v : values) {
      if (!axis.shows(v)) continue;
      low = std::min(low, v);
      high = std::max(high, v);
    }
  };
  consider(chart.values);
  for (const LevelLine& line : chart.lines) consider(line.levels);
  if (low <= high) {
    axis.low = low;
    axis.high = high;
  }
  return axis;
}

void draw_histogram(Canvas& canvas, const LevelChart& chart, const Axis& x, double top,
                    double bottom) {
  std::vector<double> counts(static_cast<std::size_t>(chart.bins));
  const double width = (x.high - x.low) / chart.bins;
  for (const double v : chart.values) {
    if (!x.shows(v)) continue;
    const auto bin = static_cast<std::size_t>((v - x.low) / width);
    ++counts[std::min(bin, counts.size() - 1)];
  }
  const double most = std::max(1.0, *std::max_element(counts.begin(), counts.end()));
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const double left = x.at(x.low + width * static_cast<double>(i));
    const double right = x.at(x.low + width * static_cast<double>(i + 1));
    const double height = (bottom - top) * counts[i] / most;
    if (counts[i] > 0.0) canvas.box(left, bottom - height, right - left - 0.5, height, kBars);
  }
}

void draw_levels(Canvas& canvas, const LevelLine& line, const Axis& x, double y1, double y2,
                 std::string_view color) {
  for (const double level : line.levels) {
    if (x.shows(level)) canvas.line(x.at(level), y1, x.at(level), y2, color, 1.2);
  }
}

}  // namespace

std::string svg(const LevelChart& chart) {
  require(chart.bins >= 1 && chart.lines.size() <= 8, "svg", "bins, and at most eight lines");
  require(!chart.lines.empty() || !chart.values.empty(), "svg", "something to show");
  Axis x = axis_over(chart);
  const auto ticks = make_nice(x);
  x.from = kLeft;
  x.to = Canvas::kWidth - kLeft;

  Canvas canvas;
  const double top = (chart.title.empty() ? 12.0 : canvas.title(chart.title)) + 8.0;
  const double bottom = Canvas::kHeight - (chart.x_label.empty() ? 30.0 : 54.0);
  for (const Tick& t : ticks) {
    canvas.line(x.at(t.value), bottom, x.at(t.value), top, kGrid, 1.0);
    canvas.text(x.at(t.value), bottom + 19.0, t.label, kSmall, "middle");
  }
  // Without a histogram the lines share the whole height.
  const auto count = static_cast<double>(chart.lines.size());
  const double row = chart.values.empty() ? (bottom - top) / count : kLineHeight;
  const double first = bottom - row * count;
  if (!chart.values.empty()) draw_histogram(canvas, chart, x, top, first);
  for (std::size_t i = 0; i < chart.lines.size(); ++i) {
    const LevelLine& line = chart.lines[i];
    const double y = first + row * (static_cast<double>(i) + 1.0) - 14.0;
    if (line.over_histogram) draw_levels(canvas, line, x, top, first, color_of(i));
    canvas.text(x.from, y - 13.0, line.name, kSmall, "start");
    canvas.line(x.from, y, x.to, y, kInk, 1.0);
    draw_levels(canvas, line, x, y - 8.0, y + 8.0, color_of(i));
  }
  canvas.line(x.from, bottom, x.to, bottom, kInk, 1.2);
  canvas.text((x.from + x.to) / 2.0, Canvas::kHeight - 12.0, chart.x_label, kSmall + 1, "middle");
  return canvas.finish();
}

void write_svg(const std::string& path, const LevelChart& chart) {
  write_atomically(path, svg(chart));
}

}  // namespace qlora
