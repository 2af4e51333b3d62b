#include "figures.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "attention_maps.h"
#include "claims.h"
#include "core/files.h"
#include "course/svg.h"
#include "course/svg_canvas.h"
#include "ops/rope.h"

namespace qlora::chapter08 {
namespace {

constexpr const char* kModel = QLORA_DATA_DIR "/tiny-llama";

// White for nothing, dark blue for all.
std::string shade(double weight) {
  const double w = std::sqrt(std::clamp(weight, 0.0, 1.0));  // small weights are seen too
  const auto mix = [&](double dark) {
    return static_cast<int>(std::lround(255 + w * (dark - 255)));
  };
  return fmt::format("#{:02x}{:02x}{:02x}", mix(0), mix(50), mix(110));
}

// Three layers, a row each; a map a head, queries from top to bottom, keys from left to right.
void draw_maps(const std::string& path) {
  LlamaModel model = load_model(kModel);
  const AttentionMaps maps =
      attention_maps(model, Tokenizer::load(kModel), "In the beginning God created the heaven");
  const auto T = static_cast<std::int64_t>(maps.tokens.size());
  Canvas canvas;
  const double top =
      canvas.title("What each head looks at: a row a token, a column what is before");
  const double left = 112, size = 102, gap = 12, cell = size / static_cast<double>(T);
  double y = top + 28;
  for (const std::int64_t layer : {std::int64_t{0}, std::int64_t{1}, std::int64_t{4}}) {
    for (std::int64_t t = 0; t < T; ++t) {
      canvas.text(left - 8, y + (static_cast<double>(t) + 0.85) * cell, maps.tokens[t], 10, "end");
    }
    for (std::int64_t h = 0; h < maps.heads; ++h) {
      const double x = left + static_cast<double>(h) * (size + gap);
      canvas.text(x + size / 2, y - 6, fmt::format("layer {}, head {}", layer, h), 11, "middle");
      for (std::int64_t t = 0; t < T; ++t) {
        for (std::int64_t j = 0; j <= t; ++j) {
          canvas.box(x + static_cast<double>(j) * cell, y + static_cast<double>(t) * cell,
                     cell - 0.5, cell - 0.5, shade(maps.at(layer, h, t, j)));
        }
      }
      canvas.line(x, y, x, y + size, kGrid, 1);
      canvas.line(x, y + size, x + size, y + size, kGrid, 1);
    }
    y += size + 30;
  }
  canvas.text(left, y - 6, "darker: more weight (its square root); each row sums to 1", kSmall,
              "start");
  write_atomically(path, canvas.finish());
}

// Where the rotation that the model runs takes (1, 0) in a pair of a head at a position.
std::pair<double, double> turned(const LlamaModel& model, std::int64_t pair, std::int32_t at) {
  const std::int64_t D = model.config.head_dim;
  std::vector<float> head(static_cast<std::size_t>(D), 0.0f);
  float* x = head.data();
  x[pair] = 1.0f;
  cpu::rope<float>(1, D, 1, D, &at, model.rope_cos.data<float>(), model.rope_sin.data<float>(),
                   1.0f, x);
  return {x[pair], x[pair + D / 2]};
}

// The same arrow in four pairs, at positions 0 to 8, turned by the rotation that the model runs.
void draw_rotations(const std::string& path) {
  LlamaModel model = load_model(kModel);
  constexpr std::int64_t kPositions = 9;
  model.reserve_positions(kPositions);
  const std::int64_t half = model.config.head_dim / 2;
  Canvas canvas;
  const double top = canvas.title(
      "RoPE in the embedded model, theta = 10,000: four of a head's sixteen pairs at positions 0 "
      "to 8");
  const double radius = 78, y = top + 180;
  const std::int64_t pairs[] = {0, 2, 4, 8};
  for (std::int64_t p = 0; p < 4; ++p) {
    const std::int64_t pair = pairs[p];
    const double x = 110 + 193.0 * static_cast<double>(p);
    std::vector<std::pair<double, double>> circle;
    for (int i = 0; i <= 72; ++i) {
      const double a = 2 * std::numbers::pi * i / 72;
      circle.emplace_back(x + radius * std::cos(a), y - radius * std::sin(a));
    }
    canvas.polyline(circle, kGrid, false);
    const double f =
        static_cast<double>(inverse_frequencies(model.config)[static_cast<std::size_t>(pair)]);
    for (std::int32_t at = 0; at < kPositions; ++at) {
      const auto [c, s] = turned(model, pair, at);
      canvas.line(x, y, x + radius * c, y - radius * s, color_of(static_cast<std::size_t>(p)),
                  at == 0 ? 3 : 1.2);
      // Of slow pairs the first and the last position, of the slowest both at one place.
      const bool is_slow = f < 0.15, is_slowest = f * (kPositions - 1) < 0.15;
      if ((is_slow && at % (kPositions - 1) != 0) || (is_slowest && at > 0)) continue;
      canvas.text(x + (radius + 13) * c, y - (radius + 13) * s + 4,
                  is_slowest ? "0-8" : fmt::format("{}", at), 11, "middle");
    }
    canvas.text(x, y + radius + 44, fmt::format("elements {} and {}", pair, pair + half), kSmall,
                "middle");
    canvas.text(x, y + radius + 64, fmt::format("{:.3g} radians a token", f), kSmall, "middle");
  }
  write_atomically(path, canvas.finish());
}

void draw_frequencies(const std::string& path) {
  const CourseInputs in;
  LineChart chart;
  chart.title = "Llama 3.2 3B: how many tokens a turn of each pair takes";
  chart.x_label = "pair";
  chart.y_label = "tokens a turn";
  chart.log_y = true;
  const auto add = [&](const char* name, const RopeScaling& scaling, bool dashed) {
    LlamaConfig config = in.model;
    config.rope_scaling = scaling;
    Series series{name, {}, {}};
    series.dashed = dashed;
    for (const float f : inverse_frequencies(config)) {
      series.x.push_back(static_cast<double>(series.x.size()));
      series.y.push_back(2 * std::numbers::pi / static_cast<double>(f));
    }
    chart.series.push_back(std::move(series));
  };
  RopeScaling by_8 = in.model.rope_scaling;
  by_8.factor = 8;
  add("theta = 500,000, not scaled", {}, false);
  add("factor 32: Llama 3.2", in.model.rope_scaling, false);
  add("factor 8: Llama 3.1", by_8, true);
  const auto level = [&](const char* name, double tokens) {
    Series line{name, {0, 63}, {tokens, tokens}};
    line.dashed = true;
    chart.series.push_back(line);
  };
  const auto original = static_cast<double>(in.model.rope_scaling.original_max_position_embeddings);
  level("the 8,192 tokens of the first training", original);
  write_svg(path, chart);
}

void draw_silu(const std::string& path) {
  LineChart chart;
  chart.title = "SiLU, its slope, and ReLU";
  chart.x_label = "x";
  Series f{"SiLU", {}, {}}, slope{"its slope", {}, {}}, relu{"ReLU", {}, {}};
  slope.dashed = true;
  for (int i = -60; i <= 40; ++i) {
    const double x = 0.1 * i;
    for (Series* s : {&f, &slope, &relu}) s->x.push_back(x);
    f.y.push_back(silu(x));
    slope.y.push_back(silu_slope(x));
    relu.y.push_back(std::max(x, 0.0));
  }
  Series least{"the minimum, at -1.278", {silu_minimum()}, {silu(silu_minimum())}};
  least.points = true;
  chart.series = {relu, f, slope, least};
  write_svg(path, chart);
}

}  // namespace

void draw(const std::string& folder) {
  draw_maps(folder + "/attention_maps.svg");
  draw_rotations(folder + "/rope_rotations.svg");
  draw_frequencies(folder + "/rope_frequencies.svg");
  draw_silu(folder + "/silu_relu.svg");
}

}  // namespace qlora::chapter08
