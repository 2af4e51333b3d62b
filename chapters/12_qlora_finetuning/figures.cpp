#include "figures.h"

#include "course/svg.h"

namespace qlora::chapter12 {
namespace {

void draw_loss(const std::string& path, const Json& log_history) {
  LineChart chart;
  chart.title = "The main job: training loss, and the learning rate's warm-up and cosine";
  chart.x_label = "optimizer step";
  chart.y_label = "cross-entropy of the answer (nats a token); rate";
  chart.log_y = true;
  Series loss{"loss, mean of 25 steps", {}, {}}, rate{"learning rate, in thousandths", {}, {}};
  rate.dashed = true;
  for (const Json& entry : log_history.as_array()) {
    const Json* value = entry.find("loss");
    if (value == nullptr) continue;
    loss.x.push_back(entry.at("step").as_number());
    loss.y.push_back(value->as_number());
    rate.x.push_back(loss.x.back());
    rate.y.push_back(1000 * entry.at("learning_rate").as_number());
  }
  chart.series = {loss, rate};
  write_svg(path, chart);
}

void draw_predictors(const std::string& path, const Report& r) {
  BarChart chart;
  chart.title = "Mean absolute error on the test items, in dollars";
  chart.y_label = "dollars";
  BarSeries errors{"", {}};
  const auto add = [&](const char* name, const std::optional<Metrics>& m) {
    if (!m) return;
    chart.groups.emplace_back(name);
    errors.values.push_back(m->mae);
  };
  add("base", r.base);
  add("random base", r.random_base);
  add("mean", r.mean_predictor);
  add("median", r.median_predictor);
  add("category", r.category_mean);
  add("neighbour", r.nearest_neighbour);
  add("tuned", r.tuned);
  add("noise floor", r.noise_floor);
  chart.series = {errors};
  write_svg(path, chart);
}

}  // namespace

void draw(const std::string& folder, const MainJobResult& job) {
  draw_loss(folder + "/loss.svg", job.log_history);
  draw_predictors(folder + "/predictors.svg", job.report);
}

}  // namespace qlora::chapter12
