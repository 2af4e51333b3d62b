// Figures as standalone SVG files: line charts and bar charts.
#pragma once

#include <string>
#include <vector>

namespace qlora {

/// A line of a chart, or points.
struct Series {
  std::string name;       ///< in the legend; empty: not in it
  std::vector<double> x;  ///< one for each point
  std::vector<double> y;  ///< as many
  bool points = false;    ///< marks at the points instead of a line through them
  bool dashed = false;    ///< the line
};

/// A number that is not finite, or not positive on a logarithmic axis, is a gap in its line.
struct LineChart {
  /// The words on it; empty ones are left out.
  std::string title, x_label, y_label;

  /// Whether an axis is logarithmic.
  bool log_x = false, log_y = false;

  std::vector<Series> series;  ///< later ones are drawn over earlier ones
};

/// The bars of one color.
struct BarSeries {
  std::string name;                     ///< in the legend
  std::vector<double> values;           ///< one for each group; what is not finite is left out
  std::vector<double> deviations = {};  ///< one for each value, drawn around its end; or none
};

/// Groups of bars side by side, one bar a series. Bars stand on zero.
struct BarChart {
  /// The words on it; empty ones are left out.
  std::string title, y_label;

  std::vector<std::string> groups;  ///< names below the groups of bars
  std::vector<BarSeries> series;    ///< side by side in each group
  bool values_on_bars = true;       ///< writes each value above its bar
};

/// The text of an SVG file, 800 by 480.
/// @throws std::invalid_argument if x and y, or values and groups, differ in number
std::string svg(const LineChart& chart);
std::string svg(const BarChart& chart);

/// Writes the file atomically. @throws BadInput if it cannot be written
void write_svg(const std::string& path, const LineChart& chart);
void write_svg(const std::string& path, const BarChart& chart);

}  // namespace qlora
