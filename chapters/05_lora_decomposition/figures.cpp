#include "figures.h"

#include "course/svg.h"
#include "measurements.h"

namespace qlora::chapter05 {
namespace {

constexpr const char* kModel = QLORA_DATA_DIR "/tiny-llama";

void draw_rank_error(const std::string& path) {
  LineChart chart;
  chart.title = "What is lost when a 192 x 192 matrix is cut down to rank r";
  chart.x_label = "rank r";
  chart.y_label = "lost, % of the matrix";
  for (const Spectrum& spectrum : spectra(kModel)) {
    Series series{spectrum.name, {}, {}};
    for (std::size_t R = 0; R <= spectrum.s.size(); ++R) {
      series.x.push_back(static_cast<double>(R));
      series.y.push_back(100 * spectrum.relative_error(static_cast<std::int64_t>(R)));
    }
    chart.series.push_back(std::move(series));
  }
  write_svg(path, chart);
}

void draw_loss_rank(const std::string& path, const std::vector<RankRun>& runs) {
  LineChart chart;
  chart.title = "One layer learns another's work: loss against rank";
  chart.x_label = "rank r";
  chart.y_label = "squared error, 1 without an adapter";
  chart.log_x = chart.log_y = true;
  Series best{"no change of rank r goes below", {}, {}}, trained{"after 300 steps", {}, {}},
      held_out{"on held-out tokens", {}, {}};
  trained.points = true;
  held_out.dashed = true;
  for (const RankRun& run : runs) {
    const auto R = static_cast<double>(run.R);
    for (Series* series : {&best, &trained, &held_out}) series->x.push_back(R);
    best.y.push_back(run.best);
    trained.y.push_back(run.outcome.loss);
    held_out.y.push_back(run.outcome.held_out);
  }
  chart.series = {best, held_out, trained};
  write_svg(path, chart);
}

void draw_first_steps(const std::string& path, const std::vector<RankRun>& runs) {
  constexpr std::size_t steps = 9;
  LineChart chart;
  chart.title = "Length of the gradients, r = 8: that of A begins at zero";
  chart.x_label = "step";
  chart.y_label = "length of the gradient";
  Series A{"A", {}, {}}, B{"B", {}, {}};
  for (const RankRun& run : runs) {
    if (run.R != kAlphaSweepRank) continue;
    for (std::size_t step = 0; step < steps; ++step) {
      A.x.push_back(static_cast<double>(step));
      B.x.push_back(static_cast<double>(step));
      A.y.push_back(run.outcome.norm_dA[step]);
      B.y.push_back(run.outcome.norm_dB[step]);
    }
  }
  chart.series = {A, B};
  write_svg(path, chart);
}

}  // namespace

void draw(const std::string& folder) {
  draw_rank_error(folder + "/rank_error.svg");
  const std::vector<RankRun> runs = rank_sweep(layer_regression(kModel));
  draw_loss_rank(folder + "/loss_rank.svg", runs);
  draw_first_steps(folder + "/first_steps.svg", runs);
}

}  // namespace qlora::chapter05
