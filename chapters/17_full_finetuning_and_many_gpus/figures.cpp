#include "figures.h"

#include "cases.h"
#include "course/svg.h"
#include "llama/load.h"

namespace qlora::chapter17 {
namespace {

void draw_memory(const std::string& path, const TrainingShape& shape) {
  LineChart chart{"Llama 3.1 70B: memory of each GPU", "GPUs", "GB", true, true, {}};
  const Cluster h100 = h100_cluster();
  for (const Method& method : methods()) {
    Series line{method.name, {}, {}};
    for (const std::int64_t P : all_gpu_counts()) {
      line.x.push_back(static_cast<double>(P));
      line.y.push_back(cluster_plan(run_of(shape, method, P), h100).bytes() / 1e9);
    }
    chart.series.push_back(std::move(line));
  }
  Series card{"a card's 80 GB", {1, 1024}, {h100.memory / 1e9, h100.memory / 1e9}};
  card.dashed = true;
  chart.series.push_back(std::move(card));
  write_svg(path, chart);
}

// 1,024 GPUs, by what a node sends: from 10 Gbit Ethernet to eight adapters of 400 Gbit/s.
void draw_efficiency(const std::string& path, const TrainingShape& shape) {
  LineChart chart{"Llama 3.1 70B on 1,024 GPUs: the share of a step that computes",
                  "GB/s that a node sends",
                  "%",
                  true,
                  false,
                  {}};
  Series qlora{"QLoRA, exchange after the computation", {}, {}};
  Series hidden{"ZeRO-3, exchange behind it", {}, {}}, apart{"ZeRO-3, after it", {}, {}};
  hidden.dashed = true;
  for (const double between : {1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 320.0}) {
    Cluster cluster = h100_cluster();
    cluster.links.between = between * 1e9;
    const Method zero3{"full, ZeRO-3", Tuning::full, Sharding::parameters};
    const Efficiency z = cluster_plan(run_of(shape, zero3, 1024), cluster).efficiency;
    const Efficiency q = cluster_plan(run_of(shape, methods().back(), 1024), cluster).efficiency;
    for (Series* line : {&apart, &hidden, &qlora}) line->x.push_back(between);
    apart.y.push_back(100 * z.apart);
    hidden.y.push_back(100 * z.hidden);
    qlora.y.push_back(100 * q.apart);
  }
  chart.series = {qlora, hidden, apart};
  write_svg(path, chart);
}

}  // namespace

void draw(const std::string& folder) {
  const TrainingShape shape = shape_of(named_config("llama-3.1-70b"));
  draw_memory(folder + "/memory.svg", shape);
  draw_efficiency(folder + "/efficiency.svg", shape);
}

}  // namespace qlora::chapter17
