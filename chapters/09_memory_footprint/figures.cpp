#include "figures.h"

#include <fmt/format.h>

#include "cases.h"
#include "claims.h"
#include "course/svg.h"

namespace qlora::chapter09 {
namespace {

double gibibytes(std::int64_t bytes) {
  return static_cast<double>(bytes) / 0x1p30;
}

void draw_footprints(const std::string& path) {
  const DecoderSizes& sizes = kLlama32_3b;
  BarChart chart;
  chart.title = "Llama 3.2 3B loaded: what is counted, and what is there";
  chart.y_label = "GB";
  chart.groups = {"float32", "bfloat16", "int8", "NF4", "NF4 + DQ"};
  BarSeries reported{"get_memory_footprint", {}}, resident{"with the scales", {}};
  for (const Footprint& f :
       {dense_footprint(sizes, 4), dense_footprint(sizes, 2), int8_footprint(sizes, 2),
        nf4_footprint(sizes, {64, false, 256}, 2), nf4_footprint(sizes, {64, true, 256}, 2)}) {
    reported.values.push_back(static_cast<double>(f.reported) / 1e9);
    resident.values.push_back(static_cast<double>(f.reported + f.scales) / 1e9);
  }
  chart.series = {reported, resident};
  write_svg(path, chart);
}

void draw_batch(const std::string& path) {
  LineChart chart;
  chart.title = "QLoRA on Llama 3.2 3B, r = 16 on all linears: rows of 512 tokens";
  chart.x_label = "rows";
  chart.y_label = "GiB";
  chart.log_x = chart.log_y = true;
  const std::vector<std::int64_t> batches{1, 2, 4, 8, 16, 32, 64, 128};
  for (const ActivationPolicy policy : kActivationPolicies) {
    Series series{std::string(to_string(policy)), {}, {}};
    for (const std::int64_t B : batches) {
      series.x.push_back(static_cast<double>(B));
      series.y.push_back(
          gibibytes(training_memory(run_of("llama-3.2-3b", 16, B, 512, policy)).total()));
    }
    chart.series.push_back(std::move(series));
  }
  for (const Card& card : cards()) {
    Series line{fmt::format("{}: {:.1f} free", card.name, gibibytes(card.bytes)),
                {1, 128},
                {gibibytes(card.bytes), gibibytes(card.bytes)}};
    line.dashed = true;
    chart.series.push_back(std::move(line));
  }
  write_svg(path, chart);
}

void draw_measured(const std::string& path) {
  BarChart chart;
  chart.title = "Peak memory on an H100: planned from config.json, and measured";
  chart.y_label = "GiB";
  BarSeries planned{"planned", {}}, measured{"measured", {}};
  for (const MeasuredRun& run : measured_runs()) {
    const TrainingShape& s = run.shape;
    chart.groups.push_back(run.name.substr(0, 2) + " " + std::to_string(s.B) + "x" +
                           std::to_string(s.T) + " " + std::string(to_string(s.activations)));
    planned.values.push_back(gibibytes(training_memory(s).total()));
    measured.values.push_back(run.measured);
  }
  chart.series = {planned, measured};
  write_svg(path, chart);
}

}  // namespace

void draw(const std::string& folder) {
  draw_footprints(folder + "/footprints.svg");
  draw_batch(folder + "/batch.svg");
  draw_measured(folder + "/measured.svg");
}

}  // namespace qlora::chapter09
