#include "figures.h"

#include "course/svg.h"
#include "measurements.h"

namespace qlora::chapter14 {
namespace {

void draw_narrowing(const std::string& folder, const Items& items) {
  LineChart chart;
  chart.title = "The nearest neighbour's error, on more and more items";
  chart.x_label = "test items";
  chart.y_label = "mean absolute error, dollars";
  chart.log_x = true;
  Series mae{"mean of the items", {}, {}}, low{"95 % interval", {}, {}}, high{"", {}, {}};
  mae.points = true;
  low.dashed = high.dashed = true;
  for (const Narrowing& n : narrowing(items)) {
    for (Series* series : {&mae, &low, &high}) series->x.push_back(static_cast<double>(n.n));
    mae.y.push_back(n.mae);
    low.y.push_back(n.ci95.low);
    high.y.push_back(n.ci95.high);
  }
  chart.series = {low, high, mae};
  write_svg(folder + "/narrowing.svg", chart);
}

void draw_coverage(const std::string& folder, const Items& items) {
  BarChart chart;
  chart.title = "How often a 95 % interval holds the truth";
  chart.y_label = "samples, %";
  BarSeries mae{"mean absolute error", {}}, hits{"hit rate of 3 %", {}};
  for (const Coverage& c : coverage(items.training)) {
    chart.groups.push_back(std::to_string(c.n) + " items");
    mae.values.push_back(100 * c.of_mae);
    hits.values.push_back(100 * c.of_hits);
  }
  chart.series = {mae, hits};
  write_svg(folder + "/coverage.svg", chart);
}

void draw_comparing(const std::string& folder, const Items& items) {
  LineChart chart;
  chart.title = "Nearest neighbour less mean of the category: which sign has it?";
  chart.x_label = "test items";
  chart.y_label = "difference of the mean absolute errors, dollars";
  chart.log_x = true;
  Series value{"difference", {}, {}}, zero{"", {}, {}};
  Series paired_low{"interval, item by item", {}, {}}, paired_high{"", {}, {}};
  Series apart_low{"interval, each by itself", {}, {}}, apart_high{"", {}, {}};
  value.points = true;
  apart_low.dashed = apart_high.dashed = true;
  for (const Comparing& c : comparing(items)) {
    for (Series* s : {&value, &zero, &paired_low, &paired_high, &apart_low, &apart_high}) {
      s->x.push_back(static_cast<double>(c.n));
    }
    value.y.push_back(c.paired.value);
    zero.y.push_back(0);
    paired_low.y.push_back(c.paired.ci95.low);
    paired_high.y.push_back(c.paired.ci95.high);
    apart_low.y.push_back(c.unpaired.low);
    apart_high.y.push_back(c.unpaired.high);
  }
  chart.series = {zero, apart_low, apart_high, paired_low, paired_high, value};
  write_svg(folder + "/comparing.svg", chart);
}

}  // namespace

void draw(const std::string& folder) {
  const Items items = embedded_items();
  draw_narrowing(folder, items);
  draw_coverage(folder, items);
  draw_comparing(folder, items);
}

}  // namespace qlora::chapter14
