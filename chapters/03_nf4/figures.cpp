#include "figures.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>

#include "comparison.h"
#include "core/files.h"
#include "course/svg.h"
#include "course/svg_canvas.h"
#include "course/text.h"
#include "quantization/fp4.h"
#include "quantization/int4.h"
#include "quantization/nf4.h"
#include "quantization/normal_quantiles.h"
#include "support/weights.h"

namespace qlora::chapter03 {
namespace {

constexpr std::size_t kSample = 1u << 18;
constexpr std::uint64_t kSeed = 3;
constexpr double kGap = std::numeric_limits<double>::quiet_NaN();

enum class Style { line, dashes, points };

Series series(const std::string& name, Style style = Style::line) {
  Series s;
  s.name = name;
  s.points = style == Style::points;
  s.dashed = style == Style::dashes;
  return s;
}

void add_point(Series& s, double x, double y) {
  s.x.push_back(x);
  s.y.push_back(y);
}

// The codes in the order of their values.
std::array<std::size_t, 16> ascending(const Codebook& code) {
  std::array<std::size_t, 16> order;
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return code[a] < code[b]; });
  return order;
}

// A line for each format from -1 to 1, a dot for each value and, above the dots, its code.
void draw_number_lines(const std::string& path) {
  Canvas canvas;
  const double top = canvas.title("The values of 4-bit formats, as parts of absmax");
  const Axis x{.low = -1.0, .high = 1.0, .from = 90.0, .to = Canvas::kWidth - 40.0};
  const double bottom = Canvas::kHeight - 60.0;
  for (int tick = -4; tick <= 4; ++tick) {
    const double at = x.at(tick / 4.0);
    canvas.line(at, top + 10.0, at, bottom, kGrid, 1.0);
    canvas.text(at, bottom + 20.0, readable(tick / 4.0), kSmall, "middle");
  }
  const std::vector<std::pair<std::string, Codebook>> lines{
      {"NF4", kNf4Code}, {"FP4", kFp4Code}, {"int4", kInt4Code}};
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const double y = top + (bottom - top) * (static_cast<double>(i) + 0.6) / 3.0;
    canvas.line(x.from, y, x.to, y, kInk, 1.2);
    canvas.text(x.from - 20.0, y + 5.0, lines[i].first, 16.0, "end", true);
    double last = -100.0;  // where the last label stands: near zero FP4's are stacked
    double raised = 0.0;
    for (const std::size_t c : ascending(lines[i].second)) {
      const double at = x.at(double{lines[i].second[c]});
      if (at < x.from) continue;  // int4's code 0 is never used
      canvas.dot(at, y, color_of(i));
      raised = at - last < 14.0 ? raised + 14.0 : 0.0;
      canvas.text(at, y - 12.0 - raised, std::to_string(c), 12.0, "middle");
      last = at;
    }
  }
  write_atomically(path, canvas.finish());
}

void draw_derivation(const std::string& path) {
  LineChart chart;
  chart.title = "NF4: equal steps of probability on each side of zero, up to 0.9677";
  chart.x_label = "x";
  chart.y_label = "probability of a normal number below x";
  Series curve = series("Φ(x)");
  for (int i = -100; i <= 100; ++i) {
    const double x = i / 50.0;
    add_point(curve, x, std::erfc(-x / std::numbers::sqrt2) / 2.0);
  }
  Series values = series("the 16 values times Φ⁻¹(0.9677)", Style::points);
  Series drops = series("", Style::dashes);
  const double largest = normal_quantile(kNormalMapOffset);
  for (const float code : kNf4Code) {
    const double x = largest * double{code};
    const double p = std::erfc(-x / std::numbers::sqrt2) / 2.0;
    add_point(values, x, p);
    for (const auto& [a, b] : {std::pair{-2.0, p}, {x, p}, {x, 0.0}, {kGap, kGap}}) {
      add_point(drops, a, b);
    }
  }
  chart.series = {drops, curve, values};
  write_svg(path, chart);
}

// The density of w / absmax as steps.
Series histogram(const std::string& name, const std::vector<float>& w) {
  constexpr std::size_t kBins = 80;
  constexpr std::size_t kBlock = 64;
  std::vector<double> count(kBins);
  for (std::size_t begin = 0; begin < w.size(); begin += kBlock) {
    const std::size_t end = std::min(begin + kBlock, w.size());
    float absmax = 0.0f;
    for (std::size_t i = begin; i < end; ++i) absmax = std::max(absmax, std::abs(w[i]));
    for (std::size_t i = begin; i < end; ++i) {
      const double place = (static_cast<double>(w[i]) / double{absmax} + 1.0) / 2.0;
      count[std::min(kBins - 1, static_cast<std::size_t>(place * kBins))] += 1.0;
    }
  }
  Series s = series(name);
  for (std::size_t k = 0; k < kBins; ++k) {
    const double height = count[k] / static_cast<double>(w.size()) * kBins / 2.0;
    for (const std::size_t edge : {k, k + 1}) {
      add_point(s, 2.0 * static_cast<double>(edge) / kBins - 1.0, height);
    }
  }
  return s;
}

void draw_histogram(const std::string& path, const std::vector<float>& normal,
                    const std::vector<float>& embedded) {
  LineChart chart;
  chart.title = "Weights over the absmax of their block of 64, and the values of NF4";
  chart.x_label = "w / absmax";
  chart.y_label = "density";
  Series levels = series("values of NF4", Style::dashes);
  for (const float code : kNf4Code) {
    for (const auto& [a, b] : {std::pair{double{code}, 0.0}, {double{code}, 1.4}, {kGap, kGap}}) {
      add_point(levels, a, b);
    }
  }
  chart.series = {levels, histogram("N(0, 1)", normal), histogram("embedded model", embedded)};
  write_svg(path, chart);
}

void draw_by_blocksize(const std::string& path, const std::string& of,
                       const std::vector<float>& w) {
  LineChart chart;
  chart.title = "Error by block size: " + of;
  chart.x_label = "weights in a block";
  chart.y_label = "root mean square error / that of the weights";
  chart.log_x = chart.log_y = true;
  for (const Format& f : formats()) {
    Series s = series(f.name);
    for (std::int64_t blocksize = 16; blocksize <= 65536; blocksize *= 2) {
      add_point(s, static_cast<double>(blocksize), error_of(f, w, blocksize));
    }
    chart.series.push_back(std::move(s));
  }
  write_svg(path, chart);
}

// One weight in 1,024 is as many standard deviations large as the axis says; the error of the
// others is what is drawn.
void draw_by_outlier(const std::string& path, const std::vector<float>& normal) {
  constexpr std::size_t kEvery = 1024;
  LineChart chart;
  chart.title = "What one outlier in 1,024 weights does to all the others";
  chart.x_label = "outlier, in standard deviations";
  chart.y_label = "root mean square error of the others";
  chart.log_x = chart.log_y = true;
  const auto add = [&](const std::string& name, const Format& f, std::int64_t blocksize) {
    Series s = series(name, blocksize == 64 ? Style::line : Style::dashes);
    for (int exponent = 0; exponent <= 10; ++exponent) {
      const double outlier = 4.0 * std::pow(1.5, exponent);
      std::vector<float> x = normal;
      for (std::size_t i = 40; i < x.size(); i += kEvery) x[i] = static_cast<float>(outlier);
      std::vector<float> y(x.size());
      f.restore(x, blocksize, y);
      for (std::size_t i = 40; i < x.size(); i += kEvery) x[i] = y[i] = 0.0f;
      add_point(s, outlier, relative_error(x, y));
    }
    chart.series.push_back(std::move(s));
  };
  for (const Format& f : formats()) add(f.name + ", blocks of 64", f, 64);
  add("NF4, blocks of 1,024", formats().back(), 1024);
  write_svg(path, chart);
}

}  // namespace

void draw(const std::string& folder) {
  const std::vector<float> normal = normal_sample(kSample, {kSeed, 0});
  const std::vector<float> embedded = joined_values(embedded_weights());
  draw_number_lines(folder + "/number_lines.svg");
  draw_derivation(folder + "/derivation.svg");
  draw_histogram(folder + "/histogram.svg", normal, embedded);
  draw_by_blocksize(folder + "/error_by_blocksize_normal.svg", "numbers from N(0, 1)", normal);
  draw_by_blocksize(folder + "/error_by_blocksize_heavy_tailed.svg",
                    "Student's t with 4 degrees of freedom", heavy_tailed_sample(kSample, kSeed));
  draw_by_blocksize(folder + "/error_by_blocksize_embedded.svg", "the embedded model's weights",
                    embedded);
  draw_by_outlier(folder + "/error_by_outlier.svg", normal);
}

}  // namespace qlora::chapter03
