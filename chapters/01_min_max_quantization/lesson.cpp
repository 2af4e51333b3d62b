#include "lesson.h"

#include <fmt/format.h>

#include <array>
#include <cmath>

#include "course/table.h"
#include "network.h"
#include "quantization/calibration.h"
#include "support/data_sets.h"

namespace qlora::chapter01 {
namespace {

using Byte = std::uint8_t;

// x, x / s + z, q, x' and the error of each value, as a table.
Json print_mapping(const std::vector<float>& x, Range range) {
  // [mapping]
  const AffineParams params = affine_params<Byte>(range);
  std::vector<Byte> q(x.size());
  std::vector<float> restored(x.size());
  quantize_affine<Byte>(x, params, q);
  dequantize_affine<Byte>(q, params, restored);
  // [/mapping]
  Table table({"x", "x / s + z", "q", "x'", "x' - x"}, "rrrrr");
  for (std::size_t i = 0; i < x.size(); ++i) {
    table.add({fmt::format("{:g}", x[i]),
               fmt::format("{:.3f}", x[i] / params.scale + static_cast<float>(params.zero_point)),
               fmt::format("{}", q[i]), fmt::format("{:.3f}", restored[i]),
               fmt::format("{:.3f}", restored[i] - x[i])});
  }
  fmt::print("Range {:g} … {:g} in a uint8: s = {:.4f}, z = {}\n{}\n", range.min, range.max,
             params.scale, params.zero_point, table.text());
  Json j = Json::object();
  j["scale"] = double{params.scale};
  j["zero_point"] = params.zero_point;
  return j;
}

// Both schemes on data around zero, and on data that lean to one side.
Json print_schemes() {
  Table table({"data", "affine uint8: s", "z", "symmetric int8: s", "coarser by", "codes it uses"},
              "lrrrrr");
  Json rows = Json::array();
  for (const Range range : {Range{-1.0f, 1.0f}, Range{-0.2f, 1.0f}, Range{0.0f, 1.0f}}) {
    const AffineParams affine = affine_params<Byte>(range);
    const std::array<float, 2> ends{range.min, range.max};
    const float symmetric = symmetric_scale(ends);
    std::array<std::int8_t, 2> q{};
    quantize_symmetric(ends, symmetric, q);
    const int used = q[1] - q[0] + 1;
    table.add({fmt::format("{:g} … {:g}", range.min, range.max),
               fmt::format("{:.6f}", affine.scale), std::to_string(affine.zero_point),
               fmt::format("{:.6f}", symmetric), fmt::format("{:.2f}", symmetric / affine.scale),
               fmt::format("{} of 255", used)});
    rows.push_back(used);
  }
  fmt::print(
      "Symmetric int8 needs no zero point, but leaves codes unused where the data lean to one "
      "side:\n{}\n",
      table.text());
  return rows;
}

std::string percent(double share) {
  return fmt::format("{:.2f} %", 100.0 * share);
}

// Root of the mean square error over the root of the mean square, in int8 over a range.
double error_in(const std::vector<float>& x, Range range) {
  return std::sqrt(squared_error<std::int8_t>(x, range) / energy_of(x));
}

Json print_calibration() {
  Table table({"data", "largest |x|", "min-max", "99.99 %", "99 %", "least squares", "its share"},
              "lrrrrrr");
  Json rows = Json::array();
  for (const DataSet& data : data_sets(QLORA_DATA_DIR)) {
    const std::vector<float>& x = data.values;
    const double deviation = std::sqrt(energy_of(x) / static_cast<double>(x.size()));
    // [calibration]
    const Range all = min_max_range(x);
    const Range best = mse_range<std::int8_t>(x);
    const double errors[]{error_in(x, all), error_in(x, percentile_range(x, 99.99)),
                          error_in(x, percentile_range(x, 99.0)), error_in(x, best)};
    // [/calibration]
    table.add({data.name, fmt::format("{:.1f} sigma", std::max(-all.min, all.max) / deviation),
               percent(errors[0]), percent(errors[1]), percent(errors[2]), percent(errors[3]),
               fmt::format("{:.2f}", best.max / all.max)});
    Json row = Json::object();
    row["data"] = data.name;
    row["min_max"] = errors[0];
    row["percentile_99_99"] = errors[1];
    row["percentile_99"] = errors[2];
    row["least_squares"] = errors[3];
    rows.push_back(std::move(row));
  }
  fmt::print("Calibration chooses the range. Error of affine int8 relative to the data:\n{}\n",
             table.text());
  return rows;
}

Json print_network() {
  const Network net = sine_and_cosine(kHiddenUnits);
  const IntegerNetwork integers = quantized(net, points(64));
  const std::vector<float> x = points(1001);
  const std::vector<float> y = run_network(net, x);
  const std::vector<float> y_integer = run_network(integers, x);
  double worst = 0.0;
  for (std::size_t i = 0; i < y.size(); ++i) {
    worst = std::max(worst, std::abs(double{y[i]} - double{y_integer[i]}));
  }
  const std::size_t weights = net.hidden.W.size() + net.output.W.size();
  Table table({"network", "bytes of weights", "sin 1", "cos 1", "largest difference"}, "lrrrr");
  const std::vector<float> at_one = run_network(net, {1.0f});
  const std::vector<float> at_one_integer = run_network(integers, {1.0f});
  table.add({"float32", std::to_string(4 * weights), fmt::format("{:.4f}", at_one[0]),
             fmt::format("{:.4f}", at_one[1]), ""});
  table.add({"int8 sums", std::to_string(weights), fmt::format("{:.4f}", at_one_integer[0]),
             fmt::format("{:.4f}", at_one_integer[1]), fmt::format("{:.4f}", worst)});
  fmt::print(
      "Post-training quantization of a network 1 -> {} -> 2 that draws sine and cosine: "
      "calibrate,\n"
      "quantize, run. Its sums are sums of integers:\n{}",
      kHiddenUnits, table.text());
  Json j = Json::object();
  j["largest_difference"] = worst;
  return j;
}

}  // namespace

Json tell() {
  Json j = Json::object();
  fmt::print(
      "Chapter 1: min-max quantization. A real x becomes an integer q = round(x / s) + z,\n"
      "and comes back as x' = (q - z) s. Predict the five codes before you read on.\n\n");
  j["worked_example"] = print_mapping({0, 250, 500, 750, 1000}, {0.0f, 1000.0f});
  j["asymmetric"] = print_mapping({-20, 0, 1, 998, 1000}, {-20.0f, 1000.0f});
  j["codes_used"] = print_schemes();
  j["calibration"] = print_calibration();
  j["network"] = print_network();
  return j;
}

}  // namespace qlora::chapter01
