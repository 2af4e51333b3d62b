#include "figures.h"

#include <fmt/format.h>

#include <filesystem>

#include "course/svg.h"
#include "course/svg_levels.h"
#include "network.h"
#include "quantization/calibration.h"
#include "support/data_sets.h"

namespace qlora::chapter01 {
namespace {

using Byte = std::uint8_t;

// Every `every`-th code of the affine uint8 over a range, as the real values that they stand for.
std::vector<double> affine_levels(Range range, int every) {
  const AffineParams params = affine_params<Byte>(range);
  std::vector<double> levels;
  for (int q = params.zero_point % every; q < 256; q += every) {
    const auto code = static_cast<Byte>(q);
    float x = 0.0f;
    dequantize_affine<Byte>(std::span(&code, 1), params, std::span(&x, 1));
    levels.push_back(double{x});
  }
  return levels;
}

LevelChart number_lines() {
  constexpr int kEvery = 6;  // 256 marks would be one bar
  LevelChart chart{
      "Every sixth code on the number line", "the real value that a code stands for", {}, 1, {}};
  const auto affine = [&](Range range, const char* remark) {
    const AffineParams params = affine_params<Byte>(range);
    chart.lines.push_back(
        {fmt::format("affine uint8 over {:g} … {:g}: s = {:.2f}, z = {}{}", range.min, range.max,
                     params.scale, params.zero_point, remark),
         affine_levels(range, kEvery)});
  };
  affine({0.0f, 1000.0f}, "");
  affine({-200.0f, 1000.0f}, "");
  affine({500.0f, 1000.0f}, ", for 0 must have a code: half of them are never used");
  const float absmax = 1000.0f;
  const float scale = symmetric_scale(std::span(&absmax, 1));
  std::vector<double> levels;
  for (int q = -126; q <= 126; q += kEvery) {
    levels.push_back(double{static_cast<float>(q) * scale});
  }
  chart.lines.push_back(
      {fmt::format("symmetric int8 with absmax 1000: s = {:.2f}", scale), levels});
  return chart;
}

LevelChart ranges_over_a_histogram(const std::vector<DataSet>& sets) {
  const std::vector<float>& x = sets[2].values;
  LevelChart chart{"Weights of layers.5.mlp.down_proj, and every fourth int8 level",
                   "weight",
                   {x.begin(), x.end()},
                   160,
                   {}};
  const auto line = [&](const std::string& name, Range range) {
    chart.lines.push_back(
        {fmt::format("{}: {:.3f} … {:.3f}", name, range.min, range.max), affine_levels(range, 4)});
  };
  line("min-max", min_max_range(x));
  line("least squared error", mse_range<Byte>(x));
  line("99 % of the weights", percentile_range(x, 99.0));
  return chart;
}

LineChart error_against_range(const std::vector<DataSet>& sets) {
  LineChart chart{"A narrower range clamps a few values and serves the others better",
                  "share of the min-max range that the int8 codes cover",
                  "relative error",
                  false,
                  true,
                  {}};
  for (const DataSet& data : sets) {
    const Range all = min_max_range(data.values);
    Series series{data.name, {}, {}};
    for (int k = 10; k <= 100; ++k) {
      const float share = static_cast<float>(k) / 100.0f;
      const double error =
          squared_error<std::int8_t>(data.values, {all.min * share, all.max * share});
      series.x.push_back(double{share});
      series.y.push_back(std::sqrt(error / energy_of(data.values)));
    }
    chart.series.push_back(std::move(series));
  }
  return chart;
}

LineChart networks() {
  const Network net = sine_and_cosine(kHiddenUnits);
  const std::vector<float> x = points(201);
  const IntegerNetwork integers = quantized(net, points(64));
  const std::vector<float> y = run_network(net, x);
  const std::vector<float> y_integer = run_network(integers, x);
  LineChart chart{"A network that draws sine and cosine, and the same in integers",
                  "x",
                  "",
                  false,
                  false,
                  {{"sine, float32", {}, {}},
                   {"sine, int8 weights", {}, {}, false, true},
                   {"cosine, float32", {}, {}},
                   {"cosine, int8 weights", {}, {}, false, true}}};
  for (std::size_t i = 0; i < x.size(); ++i) {
    const float values[]{y[2 * i], y_integer[2 * i], y[2 * i + 1], y_integer[2 * i + 1]};
    for (std::size_t k = 0; k < 4; ++k) {
      chart.series[k].x.push_back(double{x[i]});
      chart.series[k].y.push_back(double{values[k]});
    }
  }
  return chart;
}

}  // namespace

void draw(const std::string& folder) {
  const std::filesystem::path at(folder);
  const std::vector<DataSet> sets = data_sets(QLORA_DATA_DIR);
  write_svg(at / "number_lines.svg", number_lines());
  write_svg(at / "ranges.svg", ranges_over_a_histogram(sets));
  write_svg(at / "error_against_range.svg", error_against_range(sets));
  write_svg(at / "networks.svg", networks());
}

}  // namespace qlora::chapter01
