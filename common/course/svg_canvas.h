// What line and bar charts share: shapes, text, axes with ticks, a legend.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace qlora {

/// A direction of the plot: values from `low` to `high` are drawn from `from` to `to`, in pixels.
struct Axis {
  /// Values at the ends, and where the ends lie, in pixels.
  double low = 0.0, high = 1.0;
  double from = 0.0, to = 1.0;

  bool logarithmic = false;  ///< both ends are above zero then

  /// Where a value lies, in pixels.
  double at(double value) const;
  /// Whether a value has a place on it at all. What is beyond 10^100 has none, as what is not
  /// finite.
  bool shows(double value) const;
};

/// A mark on an axis.
struct Tick {
  double value;       ///< where it stands
  std::string label;  ///< the value as short as it can be
};

/// The axis' low and high moved out to round numbers, and the ticks between them.
std::vector<Tick> make_nice(Axis& axis);

/// An SVG document under construction, with white background and sans-serif text.
class Canvas {
 public:
  /// Of the document, in pixels.
  static constexpr double kWidth = 800, kHeight = 480;

  /// Shapes are drawn over earlier ones; y grows downwards. A dot's middle is (x, y), of a box it
  /// is the corner above on the left.
  Canvas();
  void line(double x1, double y1, double x2, double y2, std::string_view color, double width);
  void polyline(const std::vector<std::pair<double, double>>& points, std::string_view color,
                bool dashed);
  void dot(double x, double y, std::string_view color);
  void box(double x, double y, double width, double height, std::string_view color);
  /// @param anchor  start, middle or end: which end of the text stands at x
  void text(double x, double y, std::string_view text, double size, std::string_view anchor,
            bool bold = false);
  /// Text from bottom to top, its middle at (x, y).
  void text_upwards(double x, double y, std::string_view text, double size);
  /// The title, wrapped, at the top. @return the y below it
  double title(std::string_view text);
  /// The document. Nothing may be drawn afterwards.
  std::string finish();

 private:
  std::string out_;
};

/// A name and how what it names is drawn.
struct LegendEntry {
  /// What stands beside the name.
  enum class Sample { line, dashes, dot, box };
  std::string name;        ///< of the series
  std::string_view color;  ///< "#rrggbb"
  Sample sample;           ///< in that color
};

/// Draws entries in rows from `y` on. @return the y below them
double draw_legend(Canvas& canvas, double y, const std::vector<LegendEntry>& entries);

/// Color of series i: the palette of Okabe and Ito, which colour-blind readers can tell apart.
std::string_view color_of(std::size_t i);

/// About how wide a text is, in pixels: there are no font metrics here, so this is generous.
double text_width(std::string_view text, double size);

/// Color of text and axes, color of grid lines, and the labels' size in pixels.
inline constexpr std::string_view kInk = "#222222";
inline constexpr std::string_view kGrid = "#e0e0e0";
inline constexpr double kSmall = 13.0;

}  // namespace qlora
