#include "figures.h"

#include "course/svg.h"
#include "measurements.h"

namespace qlora::chapter13 {

void draw(const std::string& folder) {
  LineChart chart;
  chart.title = "What is lost of an update where it is merged";
  chart.x_label = "length of the update, % of the weight";
  chart.y_label = "lost, % of the update";
  chart.log_x = chart.log_y = true;
  Series bf16{"merged in bfloat16", {}, {}}, nf4{"merged in NF4", {}, {}};
  bf16.points = nf4.points = true;
  for (const Survival& s : survivals(QLORA_DATA_DIR "/tiny-llama")) {
    for (Series* series : {&bf16, &nf4}) series->x.push_back(100 * s.size);
    bf16.y.push_back(100 * s.lost_bf16);
    nf4.y.push_back(100 * s.lost_nf4);
  }
  chart.series = {nf4, bf16};
  write_svg(folder + "/merging.svg", chart);
}

}  // namespace qlora::chapter13
