#include "figures.h"

#include "course/svg.h"
#include "quantization/dynamic_map.h"
#include "training/schedule.h"

namespace qlora::chapter10 {
namespace {

constexpr std::int64_t kSteps = 170;

Series schedule(const char* name, LrScheduler kind, double ratio) {
  const std::int64_t warmup = warmup_steps(ratio, kSteps);
  Series series{name, {}, {}};
  for (std::int64_t s = 0; s < kSteps; ++s) {
    series.x.push_back(static_cast<double>(s));
    series.y.push_back(2e-4 * lr_factor(kind, s, warmup, kSteps));
  }
  return series;
}

void draw_schedules(const std::string& path) {
  LineChart chart;
  chart.title = "Learning rates over 170 steps: the first 17 warm up";
  chart.x_label = "steps done";
  chart.y_label = "learning rate";
  Series unheeded = schedule("constant (ignores warm-up)", LrScheduler::constant, 0.1);
  unheeded.dashed = true;
  chart.series = {
      schedule("linear", LrScheduler::linear, 0.1), schedule("cosine", LrScheduler::cosine, 0.1),
      schedule("constant_with_warmup", LrScheduler::constant_with_warmup, 0.1), unheeded};
  write_svg(path, chart);
}

void draw_rates(const std::string& path) {
  LineChart chart;
  chart.title = "Gradient descent on x²/2, whose minimum is 0";
  chart.x_label = "step";
  chart.y_label = "x";
  for (const auto& [name, rate] :
       {std::pair("lr 0.1", 0.1), std::pair("lr 0.5", 0.5), std::pair("lr 1.5", 1.5),
        std::pair("lr 1.9", 1.9), std::pair("lr 2.1", 2.1)}) {
    Series series{name, {}, {}};
    double x = 1;
    for (int s = 0; s <= 10; ++s) {
      series.x.push_back(s);
      series.y.push_back(x);
      x -= rate * x;
    }
    chart.series.push_back(std::move(series));
  }
  write_svg(path, chart);
}

// The distance between neighboring values of a map, relative to the value: how fine it is there.
Series steps_of(const char* name, bool is_signed) {
  const DynamicMap map = create_dynamic_map(is_signed);
  Series series{name, {}, {}};
  for (std::size_t i = 0; i + 1 < map.size(); ++i) {
    if (!(map[i] > 0)) continue;
    series.x.push_back(double{map[i]});
    series.y.push_back(100 * (double{map[i + 1]} - double{map[i]}) / double{map[i]});
  }
  return series;
}

void draw_moments(const std::string& path) {
  LineChart chart;
  chart.title = "The two maps of 8-bit AdamW: fine near the maximum, seven decades deep";
  chart.x_label = "value, relative to the block's maximum";
  chart.y_label = "distance to the next value, %";
  chart.log_x = chart.log_y = true;
  chart.series = {steps_of("signed, for the mean", true),
                  steps_of("unsigned, for the mean of squares", false)};
  write_svg(path, chart);
}

}  // namespace

void draw(const std::string& folder) {
  draw_schedules(folder + "/schedules.svg");
  draw_rates(folder + "/learning_rate.svg");
  draw_moments(folder + "/moments.svg");
}

}  // namespace qlora::chapter10
