#include "figures.h"

#include "course/svg.h"
#include "regression.h"

namespace qlora::chapter16 {

void draw(const std::string& folder) {
  LineChart chart;
  chart.title = "LoRA and DoRA at rank 4: lengths and directions have changed";
  chart.x_label = "step";
  chart.y_label = "squared error, 1 without an adapter";
  chart.log_y = true;
  for (const bool dora : {false, true}) {
    Series series{dora ? "DoRA" : "LoRA", {}, {}};
    const Run run = train(Change::both, dora, 4);
    for (std::size_t step = 0; step < run.loss.size(); step += 5) {
      series.x.push_back(static_cast<double>(step));
      series.y.push_back(run.loss[step]);
    }
    chart.series.push_back(std::move(series));
  }
  write_svg(folder + "/equal_rank.svg", chart);
}

}  // namespace qlora::chapter16
