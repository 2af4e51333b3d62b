#include "figures.h"

#include <fmt/format.h>

#include "claims.h"
#include "core/files.h"
#include "course/svg.h"
#include "course/svg_canvas.h"
#include "support/training_log.h"

namespace qlora::chapter12 {
namespace {

void draw_loss(const std::string& path, const Json& log_history) {
  LineChart chart;
  chart.title = "The main job: training loss, and the learning rate";
  chart.x_label = "optimizer step";
  chart.y_label = "cross-entropy of the answer (nats a token)";
  Series rate = logged(log_history, "learning_rate", "learning rate, in thousandths", 1000);
  rate.dashed = true;
  chart.series = {logged(log_history, "loss", "loss, mean of 25 steps"), rate};
  write_svg(path, chart);
}

void draw_hits(const std::string& path, const Report& r) {
  BarChart chart;
  chart.title = "Answers within 20 % of the price, in percent of the test items";
  BarSeries hits{"", {}};
  const auto add = [&](const char* name, const std::optional<Metrics>& m) {
    if (!m) return;
    chart.groups.emplace_back(name);
    hits.values.push_back(100 * m->hit_rate);
  };
  add("base", r.base);
  add("random base", r.random_base);
  add("mean", r.mean_predictor);
  add("median", r.median_predictor);
  add("category", r.category_mean);
  add("neighbor", r.nearest_neighbor);
  add("tuned", r.tuned);
  add("noise floor", r.noise_floor);
  chart.series = {hits};
  write_svg(path, chart);
}

// A labelled box; lines of text from its top.
void labelled(Canvas& c, double x, double y, double width, double height, std::string_view color,
              const std::vector<std::string>& lines) {
  c.box(x, y, width, height, color);
  double at = y + 22;
  for (const std::string& line : lines) {
    c.text(x + width / 2, at, line, kSmall, "middle", &line == &lines.front());
    at += 18;
  }
}

constexpr std::string_view kFrozen = "#d9d9d9", kTrained = "#9fd3f0";

// y = x · dequant(W)ᵀ + s · x Aᵀ Bᵀ: two ways from x to y.
void draw_layer(Canvas& c) {
  labelled(c, 40, 150, 210, 190, kFrozen,
           {"W (N,K), frozen", "4 bits a weight (NF4),", "a maximum for 64 of them", "",
            "forward: x · dequant(W)ᵀ", "backward: dy · dequant(W)", "no gradient of W"});
  labelled(c, 300, 250, 180, 90, kTrained,
           {"A (R,K), trained", "float32, random", "gradient, m, v"});
  labelled(c, 300, 150, 180, 80, kTrained, {"B (N,R), trained", "float32, zero", "gradient, m, v"});
  labelled(c, 190, 400, 140, 36, "#f3f3f3", {"x (T,K)"});
  labelled(c, 190, 70, 140, 36, "#f3f3f3", {"y (T,N)"});
  for (const double x : {145.0, 390.0}) {
    c.line(260, 400, x, 340, kInk, 1.5);
    c.line(x, 150, 260, 106, kInk, 1.5);
  }
  c.line(390, 250, 390, 230, kInk, 1.5);
  c.text(400, 132, "times s = alpha / r", kSmall, "start");
}

// The memory of what stands still in the lite configuration, to scale.
void draw_memory(Canvas& c) {
  const ConfigurationSizes lite = sizes_of(CourseInputs().lite);
  const double adapters = 4 * static_cast<double>(lite.trainable);
  const double base = static_cast<double>(lite.resident);
  struct Part {
    std::string name;
    double bytes;
    std::string_view color;
  };
  const std::vector<Part> parts{{"m and v", 2 * adapters, kTrained},
                                {"gradients", adapters, kTrained},
                                {"A and B", adapters, kTrained},
                                {"base", base, kFrozen}};
  const double scale = 330 / (base + 4 * adapters);
  double y = 76, label = 96;
  for (const Part& p : parts) {
    const double height = scale * p.bytes;
    c.box(540, y, 60, height - 1, p.color);
    if (p.bytes == base) label = y + height / 2;
    c.line(600, y + height / 2, 612, label - 4, kGrid, 1);
    c.text(616, label, fmt::format("{}: {:.3f} GB", p.name, p.bytes / 1e9), kSmall, "start");
    y += height;
    label += 24;
  }
  c.text(540, 430, "price_lite on Llama 3.2 3B", kSmall, "start", true);
  c.text(540, 448, "beside it: activations", kSmall, "start");
}

void draw_structure(const std::string& path) {
  Canvas c;
  c.title("A QLoRA layer, and what its parts take");
  draw_layer(c);
  draw_memory(c);
  write_atomically(path, c.finish());
}

}  // namespace

void draw(const std::string& folder, const MainJobResult& job) {
  draw_structure(folder + "/structure.svg");
  draw_loss(folder + "/loss.svg", job.log_history);
  draw_hits(folder + "/hits.svg", job.report);
}

}  // namespace qlora::chapter12
