// Figures as standalone SVG files: line charts and bar charts.
#pragma once

#include <string>
#include <vector>

namespace qlora {

struct Series {
  std::string name;  ///< in the legend; empty: not in it
  std::vector<double> x, y;
  bool points = false;  ///< marks at the points instead of a line through them
  bool dashed = false;
};

/// A number that is not finite, or not positive on a logarithmic axis, is a gap in its line.
struct LineChart {
  std::string title;
  std::string x_label, y_label;
  bool log_x = false, log_y = false;
  std::vector<Series> series;
};

struct BarSeries {
  std::string name;
  std::vector<double> values;  ///< one for each group; what is not finite is left out
};

/// Groups of bars side by side, one bar a series. Bars stand on zero.
struct BarChart {
  std::string title;
  std::string y_label;
  std::vector<std::string> groups;
  std::vector<BarSeries> series;
  bool values_on_bars = true;
};

/// The text of an SVG file, 800 by 480.
/// @throws std::invalid_argument if x and y, or values and groups, differ in number
std::string svg(const LineChart& chart);
std::string svg(const BarChart& chart);

/// Writes the file atomically. @throws BadInput if it cannot be written
void write_svg(const std::string& path, const LineChart& chart);
void write_svg(const std::string& path, const BarChart& chart);

}  // namespace qlora
