#include "figures.h"

#include "claims.h"
#include "course/svg.h"
#include "levels.h"
#include "support/weights.h"

namespace qlora::chapter04 {
namespace {

constexpr std::size_t kSample = 1u << 18;
constexpr std::uint64_t kSeed = 4;
constexpr std::int64_t kBlocksize = 64;

Series series(const std::string& name, bool dashed = false) {
  Series s;
  s.name = name;
  s.dashed = dashed;
  return s;
}

void add_point(Series& s, double x, double y) {
  s.x.push_back(x);
  s.y.push_back(y);
}

void draw_bits(const std::string& path) {
  LineChart chart;
  chart.title = "What a 4-bit weight takes";
  chart.x_label = "weights in a block";
  chart.y_label = "bits a weight";
  chart.log_x = true;
  Series plain = series("absmax in float32");
  Series nested = series("absmax in 8 bits, nested blocks of 256");
  Series codes = series("codes alone", true);
  for (std::int64_t blocksize = 32; blocksize <= 4096; blocksize *= 2) {
    const auto x = static_cast<double>(blocksize);
    add_point(plain, x, nominal_bits_per_weight({blocksize, false}));
    add_point(nested, x, nominal_bits_per_weight({blocksize, true}));
    add_point(codes, x, 4.0);
  }
  chart.series = {plain, nested, codes};
  write_svg(path, chart);
}

void draw_constants(const std::string& path) {
  BarChart chart;
  chart.title = "Constants of the linear weights, blocks of 64";
  chart.y_label = "MB";
  chart.groups = {"Llama 3.2 1B", "Llama 3.2 3B", "Llama 3.1 8B"};
  chart.series = {{"absmax in float32", {}}, {"double-quantized", {}}};
  for (const DecoderSizes& sizes : {kLlama32_1b, kLlama32_3b, kLlama31_8b}) {
    const Resident r = resident(sizes, {kBlocksize, true});
    chart.series[0].values.push_back(static_cast<double>(r.plain.constants()) / 1e6);
    chart.series[1].values.push_back(static_cast<double>(r.nested.constants()) / 1e6);
  }
  write_svg(path, chart);
}

// The difference that the second level makes to weights that NF4 restored.
void draw_added_error(const std::string& path, const std::vector<float>& normal) {
  LineChart chart;
  chart.title = "The error that a second level adds, N(0, 1) in NF4, blocks of 64";
  chart.x_label = "maxima in a nested block";
  chart.y_label = "root mean square change / that of the weights";
  chart.log_x = chart.log_y = true;
  const std::vector<float> exact = through_nf4(normal, kBlocksize, std::nullopt);
  Series nf4 = series("the error of NF4 itself", true);
  for (const bool subtract : {true, false}) {
    Series s = series(subtract ? "mean subtracted" : "mean not subtracted");
    for (std::int64_t nested = 8; nested <= 4096; nested *= 2) {
      const auto x = static_cast<double>(nested);
      const auto back = through_nf4(normal, kBlocksize, SecondLevel{nested, subtract});
      add_point(s, x, relative_error(exact, back));
      if (subtract) add_point(nf4, x, relative_error(normal, exact));
    }
    chart.series.push_back(std::move(s));
  }
  chart.series.push_back(std::move(nf4));
  write_svg(path, chart);
}

void draw_error_against_bits(const std::string& path, const std::vector<float>& normal) {
  LineChart chart;
  chart.title = "NF4 in blocks of 16 to 1,024: what the bits of the constants buy";
  chart.x_label = "bits a weight";
  chart.y_label = "root mean square error / that of the weights";
  for (const bool double_quant : {false, true}) {
    Series s = series(double_quant ? "double quantization" : "absmax in float32");
    for (std::int64_t blocksize = 16; blocksize <= 1024; blocksize *= 2) {
      const auto level = double_quant ? std::optional(SecondLevel{}) : std::nullopt;
      add_point(s, nominal_bits_per_weight({blocksize, double_quant}),
                relative_error(normal, through_nf4(normal, blocksize, level)));
    }
    chart.series.push_back(std::move(s));
  }
  write_svg(path, chart);
}

}  // namespace

void draw(const std::string& folder) {
  const std::vector<float> normal = normal_sample(kSample, {kSeed, 0});
  draw_bits(folder + "/bits_per_weight.svg");
  draw_constants(folder + "/constants.svg");
  draw_added_error(folder + "/added_error.svg", normal);
  draw_error_against_bits(folder + "/error_against_bits.svg", normal);
}

}  // namespace qlora::chapter04
