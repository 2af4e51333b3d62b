#include "figures.h"

#include <fmt/format.h>

#include <cmath>
#include <filesystem>

#include "course/svg.h"
#include "course/svg_levels.h"
#include "outliers.h"
#include "quantization/blockwise8.h"
#include "quantization/dynamic_map.h"
#include "quantization/fake_quantization.h"
#include "quantization/formats.h"
#include "support/data_sets.h"

namespace qlora::chapter02 {
namespace {

LevelChart levels() {
  std::vector<double> int8;
  for (int q = -127; q <= 127; q += 4) int8.push_back(q / 127.0);
  std::vector<double> int4;
  for (int q = -7; q <= 7; ++q) int4.push_back(q / 7.0);
  const DynamicMap map = create_dynamic_map();
  std::vector<double> dynamic;
  for (std::size_t i = 0; i < map.size(); i += 4) dynamic.push_back(double{map[i]});
  // What a row of the embedded model's weights looks like over its own absmax.
  const auto w = embedded_weight(QLORA_DATA_DIR, "model.layers.5.mlp.down_proj.weight");
  std::vector<double> scaled;
  for (std::size_t begin = 0; begin < w.size(); begin += 512) {
    float absmax = 0.0f;
    for (std::size_t i = begin; i < begin + 512; ++i) absmax = std::max(absmax, std::abs(w[i]));
    for (std::size_t i = begin; i < begin + 512; ++i) scaled.push_back(double{w[i] / absmax});
  }
  return {"Weights over their row's absmax, and the levels of three formats",
          "w / absmax",
          std::move(scaled),
          120,
          {{"int4: all 15 levels", std::move(int4), true},
           {"int8: every fourth of 255", std::move(int8)},
           {"dynamic 8-bit: every fourth of 256", std::move(dynamic)}}};
}

// All numbers that BF16 and FP16 have from 1 to 2, and where BF16 goes on when FP16 has ended.
LineChart spacing() {
  LineChart chart{"Distance from a number to the next one, relative to it",
                  "the number",
                  "relative distance",
                  true,
                  true,
                  {}};
  for (const DType dtype : {DType::f32, DType::f16, DType::bf16}) {
    const FloatFormat format = float_format(dtype);
    Series series{std::string(format.name), {}, {}};
    for (int exponent = -45; exponent <= 20; ++exponent) {
      // three points of each power of two
      for (const double x : {1.0, 1.4, 1.999}) {
        const double value = std::ldexp(x, exponent);
        const double step = std::ldexp(format.epsilon(), std::max(exponent, 1 - format.bias()));
        if (value > format.largest() || step > value) continue;
        series.x.push_back(value);
        series.y.push_back(step / value);
      }
    }
    chart.series.push_back(std::move(series));
  }
  return chart;
}

LineChart error_against_block_size() {
  LineChart chart{"Relative error against the number of values that share a scale",
                  "block size",
                  "relative error",
                  true,
                  true,
                  {}};
  for (const int bits : {8, 4}) {
    for (const DataSet& data : data_sets(QLORA_DATA_DIR)) {
      Series series{fmt::format("int{}, {}", bits, data.name), {}, {}, false, bits == 4};
      for (std::int64_t block = 16; block <= 65536; block *= 2) {
        std::vector<float> restored(data.values.size());
        fake_quantize_absmax(data.values, bits, block, restored);
        series.x.push_back(static_cast<double>(block));
        series.y.push_back(relative_error(data.values, restored));
      }
      chart.series.push_back(std::move(series));
    }
  }
  return chart;
}

// 65,536 normal values, of which every 4,096th is an outlier: the error of all others.
LineChart error_against_outliers() {
  constexpr std::size_t kEvery = 4096;
  const std::vector<float> normal = normal_sample(65536);
  LineChart chart{"What outliers cost the other values: 16 of 65,536 are scaled up",
                  "size of the outliers, in standard deviations",
                  "relative error of all other values",
                  true,
                  true,
                  {{"int8, a scale a tensor", {}, {}},
                   {"int8, a scale a row of 512", {}, {}},
                   {"int8, blocks of 64", {}, {}},
                   {"dynamic 8-bit, blocks of 256", {}, {}}}};
  const DynamicMap map = create_dynamic_map();
  for (int power = 2; power <= 10; ++power) {
    const double size = std::ldexp(1.0, power);
    std::vector<float> x = normal;
    for (std::size_t i = 0; i < x.size(); i += kEvery) x[i] = static_cast<float>(size);
    std::vector<std::vector<float>> restored(4, std::vector<float>(x.size()));
    fake_quantize_absmax(x, 8, 65536, restored[0]);
    fake_quantize_absmax(x, 8, 512, restored[1]);
    fake_quantize_absmax(x, 8, 64, restored[2]);
    std::vector<std::uint8_t> codes(x.size());
    std::vector<float> absmax(x.size() / 256);
    quantize_blockwise8(x, map, 256, codes, absmax);
    dequantize_blockwise8(codes, map, absmax, 256, restored[3]);
    for (std::size_t k = 0; k < restored.size(); ++k) {
      std::vector<float> rest = x;
      for (std::size_t i = 0; i < x.size(); i += kEvery) rest[i] = restored[k][i] = 0.0f;
      chart.series[k].x.push_back(size);
      chart.series[k].y.push_back(relative_error(rest, restored[k]));
    }
  }
  return chart;
}

LineChart llm_int8() {
  LineChart chart{"A linear layer with three large columns of activations",
                  "size of the three columns",
                  "error over what the other columns contribute",
                  false,
                  true,
                  {{"int8 alone", {}, {}}, {"LLM.int8(), threshold 6", {}, {}}}};
  for (int magnitude = 0; magnitude <= 60; magnitude += 3) {
    const OutlierLayer layer(static_cast<float>(magnitude));
    chart.series[0].x.push_back(magnitude);
    chart.series[0].y.push_back(layer.error(0.0f));
    chart.series[1].x.push_back(magnitude);
    chart.series[1].y.push_back(layer.error(kOutlierThreshold));
  }
  return chart;
}

}  // namespace

void draw(const std::string& folder) {
  const std::filesystem::path at(folder);
  write_svg(at / "levels.svg", levels());
  write_svg(at / "spacing.svg", spacing());
  write_svg(at / "error_against_block_size.svg", error_against_block_size());
  write_svg(at / "error_against_outliers.svg", error_against_outliers());
  write_svg(at / "llm_int8.svg", llm_int8());
}

}  // namespace qlora::chapter02
