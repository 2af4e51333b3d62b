#include "course/svg_canvas.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "course/text.h"

namespace qlora {
namespace {

constexpr double kTitle = 17.0;

std::string number(double x) {
  char text[40];
  std::snprintf(text, sizeof text, "%.2f", x);
  return text;
}

std::string attribute(const char* name, std::string_view value) {
  return std::string(" ").append(name).append("=\"").append(value).append("\"");
}
std::string attribute(const char* name, double value) {
  return attribute(name, number(value));
}

// 1, 2 or 5 times a power of ten, so that about `count` steps cover the span.
double nice_step(double span, double count) {
  const double rough = span / count;
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  for (double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= rough * (1.0 - 1e-9)) return factor * power;
  }
  return 10.0 * power;
}

// Room on both sides of what is one value, or so near to one that steps between could not be told.
void make_room(Axis& axis) {
  const double size = std::max(std::abs(axis.low), std::abs(axis.high));
  if (axis.high - axis.low > std::max(1e-9 * size, 1e-100)) return;
  const double room = size < 1e-90 ? 1.0 : size * 0.1;
  axis.low -= room;
  axis.high += room;
}

std::vector<Tick> linear_ticks(Axis& axis) {
  const double step = nice_step(axis.high - axis.low, 6.0);
  const double first = std::floor(axis.low / step + 1e-9);
  const double last = std::ceil(axis.high / step - 1e-9);
  axis.low = first * step;
  axis.high = last * step;
  // as many digits as it takes to tell two steps apart
  const double size = std::max(std::abs(axis.low), std::abs(axis.high));
  const int digits = std::max(4, static_cast<int>(std::ceil(std::log10(size / step))) + 1);
  std::vector<Tick> ticks;
  for (int i = 0; i <= static_cast<int>(last - first); ++i) {
    const double value = (first + i) * step;
    ticks.push_back({value, readable(value, digits)});
  }
  return ticks;
}

std::vector<Tick> logarithmic_ticks(Axis& axis) {
  // Steps of less than the low end stay above zero, and there are enough of them.
  if (axis.high / axis.low < 2.5) return linear_ticks(axis);
  // Within two decades 1, 2 and 5 are round; beyond, whole decades, not all of them.
  const bool narrow = axis.high / axis.low < 100.0;
  const std::vector<double> factors = narrow ? std::vector{1.0, 2.0, 5.0} : std::vector{1.0};
  const int lowest = static_cast<int>(std::floor(std::log10(axis.low) + 1e-9));
  const int highest = static_cast<int>(std::ceil(std::log10(axis.high) - 1e-9));
  std::vector<double> values;
  for (int decade = lowest; decade <= highest; ++decade) {
    for (double factor : factors) values.push_back(factor * std::pow(10.0, decade));
  }
  const auto above = [&](double v) { return v > axis.low * (1.0 + 1e-9); };
  const auto first = std::find_if(values.begin(), values.end(), above) - 1;
  const auto at_least = [&](double v) { return v >= axis.high * (1.0 - 1e-9); };
  const auto last = std::find_if(first, values.end(), at_least);
  axis.low = *first;
  axis.high = *last;
  const std::ptrdiff_t every = (last - first) / 8 + 1;
  std::vector<Tick> ticks;
  for (std::ptrdiff_t i = 0; i <= last - first; i += every) {
    ticks.push_back({first[i], readable(first[i], 4)});
  }
  return ticks;
}

}  // namespace

double Axis::at(double value) const {
  const double share =
      logarithmic ? std::log(value / low) / std::log(high / low) : (value - low) / (high - low);
  return from + share * (to - from);
}

bool Axis::shows(double value) const {
  return std::abs(value) < 1e100 && (!logarithmic || value > 1e-90);
}

std::vector<Tick> make_nice(Axis& axis) {
  make_room(axis);
  return axis.logarithmic ? logarithmic_ticks(axis) : linear_ticks(axis);
}

Canvas::Canvas() {
  out_ = "<svg xmlns=\"http://www.w3.org/2000/svg\"" + attribute("viewBox", "0 0 800 480") +
         attribute("width", kWidth) + attribute("height", kHeight) +
         attribute("font-family", "DejaVu Sans, Verdana, Arial, sans-serif") +
         attribute("fill", kInk) + ">\n";
  box(0, 0, kWidth, kHeight, "#ffffff");
}

void Canvas::line(double x1, double y1, double x2, double y2, std::string_view color,
                  double width) {
  out_ += "<line" + attribute("x1", x1) + attribute("y1", y1) + attribute("x2", x2) +
          attribute("y2", y2) + attribute("stroke", color) + attribute("stroke-width", width) +
          "/>\n";
}

void Canvas::polyline(const std::vector<std::pair<double, double>>& points, std::string_view color,
                      bool dashed) {
  std::string list;
  for (const auto& [x, y] : points) list += number(x) + ',' + number(y) + ' ';
  out_ += "<polyline" + attribute("points", list) + attribute("fill", "none") +
          attribute("stroke", color) + attribute("stroke-width", 2.0) +
          attribute("stroke-linejoin", "round") +
          (dashed ? attribute("stroke-dasharray", "7 5") : "") + "/>\n";
}

void Canvas::dot(double x, double y, std::string_view color) {
  out_ += "<circle" + attribute("cx", x) + attribute("cy", y) + attribute("r", 3.0) +
          attribute("fill", color) + "/>\n";
}

void Canvas::box(double x, double y, double width, double height, std::string_view color) {
  out_ += "<rect" + attribute("x", x) + attribute("y", y) + attribute("width", width) +
          attribute("height", height) + attribute("fill", color) + "/>\n";
}

void Canvas::text(double x, double y, std::string_view text, double size, std::string_view anchor,
                  bool bold) {
  out_ += "<text" + attribute("x", x) + attribute("y", y) + attribute("font-size", size) +
          attribute("text-anchor", anchor) + (bold ? attribute("font-weight", "bold") : "") + ">" +
          escaped_markup(text) + "</text>\n";
}

void Canvas::text_upwards(double x, double y, std::string_view text, double size) {
  out_ += "<text" + attribute("font-size", size) + attribute("text-anchor", "middle") +
          attribute("transform", "translate(" + number(x) + " " + number(y) + ") rotate(-90)") +
          ">" + escaped_markup(text) + "</text>\n";
}

double Canvas::title(std::string_view title) {
  double y = 12.0;
  const auto columns = static_cast<std::size_t>((kWidth - 40.0) / text_width("n", kTitle));
  for (const std::string& part : wrapped(title, columns)) {
    y += kTitle + 3.0;
    text(kWidth / 2.0, y, part, kTitle, "middle", true);
  }
  return y + 6.0;
}

std::string Canvas::finish() {
  return out_ + "</svg>\n";
}

double draw_legend(Canvas& canvas, double y, const std::vector<LegendEntry>& entries) {
  constexpr double kSample = 26.0;
  constexpr double kGap = 24.0;
  const auto width_of = [&](const LegendEntry& e) {
    return kSample + 8.0 + text_width(e.name, kSmall);
  };
  std::size_t i = 0;
  while (i < entries.size()) {
    // as many entries as fit into a row, the row in the middle
    std::size_t end = i;
    double width = -kGap;
    while (end < entries.size() &&
           (end == i || width + kGap + width_of(entries[end]) <= Canvas::kWidth - 40.0)) {
      width += kGap + width_of(entries[end++]);
    }
    double x = std::max(20.0, (Canvas::kWidth - width) / 2.0);
    y += kSmall + 6.0;
    for (; i < end; ++i) {
      const LegendEntry& e = entries[i];
      if (e.sample == LegendEntry::Sample::dot) {
        canvas.dot(x + kSample / 2.0, y - 4.5, e.color);
      } else if (e.sample == LegendEntry::Sample::box) {
        canvas.box(x + kSample - 12.0, y - 10.5, 12.0, 12.0, e.color);
      } else {
        canvas.polyline({{x, y - 4.5}, {x + kSample, y - 4.5}}, e.color,
                        e.sample == LegendEntry::Sample::dashes);
      }
      canvas.text(x + kSample + 8.0, y, e.name, kSmall, "start");
      x += width_of(e) + kGap;
    }
  }
  return y + 12.0;
}

std::string_view color_of(std::size_t i) {
  static constexpr std::array<std::string_view, 7> kPalette{
      "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#555555"};
  return kPalette[i % kPalette.size()];
}

double text_width(std::string_view text, double size) {
  return 0.62 * size * static_cast<double>(display_width(text));
}

}  // namespace qlora
