#include "lesson.h"

#include <fmt/format.h>

#include <functional>

#include "claims.h"
#include "course/experiment.h"
#include "course/table.h"
#include "course/text.h"
#include "network.h"
#include "quantization/straight_through.h"

namespace qlora::chapter15 {
namespace {

constexpr std::uint64_t kSeeds = 5;

Json tell_block() {
  const std::vector<double> w{-1.1, -0.8, -0.35, 0.0, 0.1, 0.3, 0.62, 1.0};
  constexpr double kNudge = 1e-6;
  // [block]
  const FakeFormat format{FakeLevels::integers, 3, kRangePerTensor, 0.75};
  std::vector<double> w_q(w.size()), dw(w.size());
  const std::vector<double> dw_q(w.size(), 1.0);
  fake_quantize<double>(format, 8, w, w_q);
  fake_quantize_backward<double>(format, 8, w, dw_q, dw);
  // [/block]
  Table table({"w", "as the pass sees it", "derivative of the staircase", "straight through"},
              "rrrr");
  Json rows = Json::array();
  for (std::size_t i = 0; i < w.size(); ++i) {
    std::vector<double> nudged = w, moved(w.size());
    nudged[i] += kNudge;
    fake_quantize<double>(format, 8, nudged, moved);
    const double derivative = (moved[i] - w_q[i]) / kNudge;
    table.add({fmt::format("{:.2f}", w[i]), fmt::format("{:.3f}", w_q[i]),
               fmt::format("{:.2f}", derivative), fmt::format("{:.0f}", dw[i])});
    rows.push_back(dw[i]);
  }
  fmt::print(
      "Eight weights in three bits, -3 … 3, over 0.75 of their largest; a gradient of 1 comes "
      "back:\n{}\n",
      table.text());
  return rows;
}

std::string text_of(const Spread& s) {
  return fmt::format("{:.4f} ± {:.4f}", s.mean, s.deviation);
}

Spread errors(const std::function<double(std::uint64_t)>& run) {
  std::vector<double> values;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) values.push_back(run(seed));
  return spread_of(values);
}

Json tell_network() {
  Table table({"weights", "PTQ", "QAT", "QAT, then biases", "biases alone"}, "lrrrr");
  Json rows = Json::array();
  const Spread in_float = errors(float_error);
  for (const int bits : {8, 4, 3, 2}) {
    const auto of = [&](Method method) {
      return errors([=](std::uint64_t seed) { return network_error(method, bits, seed); });
    };
    const Spread ptq = of(Method::ptq), qat = of(Method::qat), frozen = of(Method::frozen),
                 biases = of(Method::biases);
    table.add({"int" + std::to_string(bits), text_of(ptq), text_of(qat), text_of(frozen),
               text_of(biases)});
    Json row = Json::object();
    row["bits"] = bits;
    row["float32"] = in_float.mean;
    row["ptq"] = ptq.mean;
    row["ptq_deviation"] = ptq.deviation;
    row["qat"] = qat.mean;
    row["qat_deviation"] = qat.deviation;
    row["frozen"] = frozen.mean;
    row["biases"] = biases.mean;
    rows.push_back(row);
  }
  fmt::print(
      "Chapter 1's network, 1 -> 16 -> 2, trained to draw sine and cosine, {} seeds. Root mean\n"
      "square error (in float32 {}):\n{}\n",
      kSeeds, text_of(in_float), table.text());
  return rows;
}

Json tell_costs() {
  constexpr double kGigabyte = 1e9;
  const Cost c = cost_of({});
  Table table({"Llama 3.2 3B", "numbers trained", "GB while training", "GB of the result"}, "lrrr");
  const auto row = [&](const char* name, std::int64_t trained, double bytes, double result) {
    table.add({name, grouped(trained), fmt::format("{:.2f}", bytes / kGigabyte),
               fmt::format("{:.2f}", result / kGigabyte)});
  };
  const double adapters = 4.0 * static_cast<double>(c.adapters);
  row("QLoRA, r = 32 on q, k, v, o", c.adapters, c.qlora, c.result + adapters);
  row("full fine-tuning, float32", c.all, c.full, c.full / 4);
  row("QAT to NF4", c.all, c.qat, c.result);
  fmt::print("What each holds beside the activations:\n{}\n", table.text());
  Json j = Json::object();
  j["qlora"] = c.qlora;
  j["full"] = c.full;
  j["qat"] = c.qat;
  return j;
}

}  // namespace

Json tell() {
  Json j = Json::object();
  j["block"] = tell_block();
  j["network"] = tell_network();
  j["costs"] = tell_costs();
  return j;
}

}  // namespace qlora::chapter15
