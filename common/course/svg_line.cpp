#include <algorithm>
#include <limits>

#include "core/error.h"
#include "core/files.h"
#include "course/svg.h"
#include "course/svg_canvas.h"

namespace qlora {
namespace {

// The range of all coordinates that can be shown; 0 to 1 (1 to 10) where there are none.
template <typename Coordinates>
void fit(Axis& axis, const LineChart& chart, Coordinates coordinates) {
  double low = std::numeric_limits<double>::infinity();
  double high = -low;
  for (const Series& s : chart.series) {
    for (double value : coordinates(s)) {
      if (!axis.shows(value)) continue;
      low = std::min(low, value);
      high = std::max(high, value);
    }
  }
  if (low > high) {
    low = axis.logarithmic ? 1.0 : 0.0;
    high = axis.logarithmic ? 10.0 : 1.0;
  }
  axis.low = low;
  axis.high = high;
}

void draw_series(Canvas& canvas, const Series& s, std::string_view color, const Axis& x,
                 const Axis& y) {
  std::vector<std::pair<double, double>> run;  // points without a gap between them
  const auto flush = [&] {
    if (run.size() == 1) canvas.dot(run[0].first, run[0].second, color);
    if (run.size() > 1) canvas.polyline(run, color, s.dashed);
    run.clear();
  };
  for (std::size_t i = 0; i < s.x.size(); ++i) {
    if (!x.shows(s.x[i]) || !y.shows(s.y[i])) {
      flush();
      continue;
    }
    run.emplace_back(x.at(s.x[i]), y.at(s.y[i]));
    if (s.points) flush();
  }
  flush();
}

}  // namespace

std::string svg(const LineChart& chart) {
  for (const Series& s : chart.series) {
    require(s.x.size() == s.y.size(), "svg", "as many x as y in a series");
  }
  Axis x;
  Axis y;
  x.logarithmic = chart.log_x;
  y.logarithmic = chart.log_y;
  fit(x, chart, [](const Series& s) -> const auto& { return s.x; });
  fit(y, chart, [](const Series& s) -> const auto& { return s.y; });
  const auto x_ticks = make_nice(x);
  const auto y_ticks = make_nice(y);

  Canvas canvas;
  double top = chart.title.empty() ? 12.0 : canvas.title(chart.title);
  std::vector<LegendEntry> legend;
  for (std::size_t i = 0; i < chart.series.size(); ++i) {
    const Series& s = chart.series[i];
    const auto sample = s.points   ? LegendEntry::Sample::dot
                        : s.dashed ? LegendEntry::Sample::dashes
                                   : LegendEntry::Sample::line;
    if (!s.name.empty()) legend.push_back({s.name, color_of(i), sample});
  }
  top = draw_legend(canvas, top, legend) + 4.0;
  double widest = 0.0;
  for (const Tick& t : y_ticks) widest = std::max(widest, text_width(t.label, kSmall));
  x.from = 16.0 + (chart.y_label.empty() ? 0.0 : 24.0) + widest;
  x.to = Canvas::kWidth - std::max(16.0, text_width(x_ticks.back().label, kSmall) / 2.0 + 4.0);
  y.from = Canvas::kHeight - (chart.x_label.empty() ? 30.0 : 54.0);
  y.to = top;

  for (const Tick& t : y_ticks) {
    canvas.line(x.from, y.at(t.value), x.to, y.at(t.value), kGrid, 1.0);
    canvas.text(x.from - 8.0, y.at(t.value) + 4.5, t.label, kSmall, "end");
  }
  for (const Tick& t : x_ticks) {
    canvas.line(x.at(t.value), y.from, x.at(t.value), y.to, kGrid, 1.0);
    canvas.text(x.at(t.value), y.from + 19.0, t.label, kSmall, "middle");
  }
  canvas.line(x.from, y.from, x.to, y.from, kInk, 1.2);
  canvas.line(x.from, y.from, x.from, y.to, kInk, 1.2);
  canvas.text((x.from + x.to) / 2.0, Canvas::kHeight - 12.0, chart.x_label, kSmall + 1, "middle");
  if (!chart.y_label.empty()) {
    canvas.text_upwards(20.0, (y.from + y.to) / 2.0, chart.y_label, kSmall + 1);
  }
  for (std::size_t i = 0; i < chart.series.size(); ++i) {
    draw_series(canvas, chart.series[i], color_of(i), x, y);
  }
  return canvas.finish();
}

void write_svg(const std::string& path, const LineChart& chart) {
  write_atomically(path, svg(chart));
}

}  // namespace qlora
