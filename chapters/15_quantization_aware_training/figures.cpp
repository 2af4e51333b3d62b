#include "figures.h"

#include "course/svg.h"
#include "network.h"
#include "quantization/straight_through.h"

namespace qlora::chapter15 {
namespace {

// The staircase of three bits over -1 … 1, weights beyond 0.94 cut off, and the gradient.
void draw_staircase(const std::string& path) {
  const FakeFormat format{FakeLevels::integers, 3, kRangePerTensor, 0.75};
  std::vector<double> w;
  for (int i = -1250; i <= 1250; ++i) w.push_back(i / 1000.0);
  const auto n = static_cast<std::int64_t>(w.size());
  std::vector<double> w_q(w.size()), dw(w.size(), 0.0);
  const std::vector<double> ones(w.size(), 1.0);
  fake_quantize<double>(format, n, w, w_q);
  fake_quantize_backward<double>(format, n, w, ones, dw);
  LineChart chart;
  chart.title = "A weight in three bits, the range at 0.75 of the largest";
  chart.x_label = "w";
  chart.series = {{"w itself", w, w, false, true},
                  {"as the pass sees it", w, w_q},
                  {"its straight-through gradient", w, dw}};
  write_svg(path, chart);
}

void draw_network(const std::string& path) {
  constexpr std::uint64_t kSeeds = 5;
  LineChart chart;
  chart.title = "Chapter 1's network in few bits: means of five seeds";
  chart.x_label = "bits of a weight";
  chart.y_label = "root mean square error";
  chart.log_y = true;
  for (const Method method : {Method::ptq, Method::qat, Method::frozen, Method::biases}) {
    Series line{name_of(method), {}, {}};
    for (const int bits : {2, 3, 4, 5, 6, 8}) {
      double sum = 0;
      for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) sum += network_error(method, bits, seed);
      line.x.push_back(bits);
      line.y.push_back(sum / double{kSeeds});
    }
    chart.series.push_back(std::move(line));
  }
  write_svg(path, chart);
}

}  // namespace

void draw(const std::string& folder) {
  draw_staircase(folder + "/staircase.svg");
  draw_network(folder + "/network.svg");
}

}  // namespace qlora::chapter15
