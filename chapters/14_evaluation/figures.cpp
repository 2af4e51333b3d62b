#include "figures.h"

#include <limits>

#include "course/svg.h"
#include "measurements.h"

namespace qlora::chapter14 {
namespace {

// Both ends of intervals as one series: two lines of one color, with a gap between them.
struct Ends {
  explicit Ends(const std::string& name, bool dashed = false) : low{name, {}, {}} {
    low.dashed = dashed;
  }
  void add(double x, const Interval& interval) {
    low.x.push_back(x);
    low.y.push_back(interval.low);
    high.x.push_back(x);
    high.y.push_back(interval.high);
  }
  Series series() const {
    Series both = low;
    both.x.push_back(low.x.back());
    both.y.push_back(std::numeric_limits<double>::quiet_NaN());
    both.x.insert(both.x.end(), high.x.begin(), high.x.end());
    both.y.insert(both.y.end(), high.y.begin(), high.y.end());
    return both;
  }

 private:
  Series low, high;
};

void draw_narrowing(const std::string& folder, const Items& items) {
  LineChart chart;
  chart.title = "The nearest neighbor's error, on more and more items";
  chart.x_label = "test items";
  chart.y_label = "mean absolute error, dollars";
  chart.log_x = true;
  Series mae{"mean of the items", {}, {}, true};
  Ends ends("95 % interval");
  for (const Narrowing& n : narrowing(items)) {
    mae.x.push_back(static_cast<double>(n.n));
    mae.y.push_back(n.mae);
    ends.add(mae.x.back(), n.ci95);
  }
  chart.series = {ends.series(), mae};
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
  chart.title = "Nearest neighbor less mean of the category: which sign has it?";
  chart.x_label = "test items";
  chart.y_label = "difference of the mean absolute errors, dollars";
  chart.log_x = true;
  Series value{"difference", {}, {}, true};
  Ends paired("interval, item by item"), apart("interval, each by itself", true);
  for (const Comparing& c : comparing(items)) {
    value.x.push_back(static_cast<double>(c.n));
    value.y.push_back(c.paired.value);
    paired.add(value.x.back(), c.paired.ci95);
    apart.add(value.x.back(), c.unpaired);
  }
  chart.series = {apart.series(), paired.series(), value};
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
