#include "lesson.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "comparison.h"
#include "course/table.h"
#include "quantization/nf4.h"
#include "quantization/normal_quantiles.h"
#include "quantization/quoted_quantiles.h"
#include "statistics.h"
#include "support/weights.h"

namespace qlora::chapter03 {
namespace {

constexpr std::int64_t kBlocksize = 64;
constexpr std::size_t kShown = 4;          // elements of the block
constexpr std::size_t kSample = 1u << 18;  // drawn numbers
constexpr std::uint64_t kSeed = 3;
constexpr std::int64_t kDescriptions = 300;

Json print_codebook() {
  Table table({"code", "value", "gap to the next", "code", "value", "gap to the next"}, "rrrrrr");
  const auto cells = [](std::size_t c) -> std::array<std::string, 3> {
    const bool last = c + 1 == kNf4Code.size();
    return {std::to_string(c), fmt::format("{:.7f}", kNf4Code[c]),
            last ? "" : fmt::format("{:.4f}", kNf4Code[c + 1] - kNf4Code[c])};
  };
  for (std::size_t c = 0; c < 8; ++c) {
    const auto left = cells(c);
    const auto right = cells(c + 8);
    table.add({left[0], left[1], left[2], right[0], right[1], right[2]});
  }
  fmt::print("The 16 values of NF4: 7 negative, zero, 8 positive; close together near zero.\n{}\n",
             table.text());
  Json values = Json::array();
  for (float value : kNf4Code) values.push_back(double{value});
  return values;
}

// A row of the table of derivations.
template <typename Code>
void add_derivation(Table& table, Json& j, const std::string& name, const Code& code) {
  int equal = 0;
  double furthest = 0.0;
  for (std::size_t k = 0; k < 16; ++k) {
    equal += static_cast<float>(code[k]) == kNf4Code[k] ? 1 : 0;
    furthest = std::max(furthest, std::abs(static_cast<double>(code[k]) - double{kNf4Code[k]}));
  }
  table.add({name, std::to_string(equal), fmt::format("{:.2g}", furthest)});
  Json row = Json::object();
  row["values_with_the_published_bits"] = equal;
  row["furthest"] = furthest;
  j[name] = std::move(row);
}

Json print_derivations() {
  Json j = Json::object();
  Table table({"formula", "values with the published bits", "furthest off"}, "lrr");
  add_derivation(table, j, "bitsandbytes: float32 probabilities, float32 division",
                 create_normal_map());
  add_derivation(table, j, "the same, float64 probabilities",
                 normal_map_in(DerivationIn::float64_then_float32_division));
  add_derivation(table, j, "the same, float64 throughout", normal_map_in(DerivationIn::float64));
  add_derivation(table, j, "quantiles at (i + 1/2) / 16, over the largest", interval_middles());
  add_derivation(table, j, "equation 4 of the QLoRA paper", paper_equation_4());
  fmt::print("Where they come from. Which formula gives these values?\n{}\n", table.text());
  return j;
}

Json print_block() {
  const std::vector<float> x = [] {
    std::vector<float> sample = normal_sample(kBlocksize, {kSeed, 0});
    for (float& value : sample) value *= 0.02f;
    return sample;
  }();
  std::array<std::uint8_t, kBlocksize / 2> packed{};
  std::array<float, 1> absmax{};
  std::array<float, kBlocksize> restored{};
  quantize_nf4(x, kBlocksize, packed, absmax);
  dequantize_nf4(packed, absmax, kBlocksize, restored);

  Table table({"x", "x / absmax", "code", "byte", "restored", "error"}, "rrrrrr");
  for (std::size_t i = 0; i < kShown; ++i) {
    const int code = i % 2 == 0 ? packed[i / 2] >> 4 : packed[i / 2] & 15;
    table.add({fmt::format("{:.6f}", x[i]), fmt::format("{:.4f}", x[i] / absmax[0]),
               std::to_string(code), i % 2 == 0 ? fmt::format("{:#04x}", packed[i / 2]) : "",
               fmt::format("{:.6f}", restored[i]), fmt::format("{:.6f}", restored[i] - x[i])});
  }
  double worst = 0.0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    worst = std::max(worst, std::abs(static_cast<double>(restored[i]) - double{x[i]}));
  }
  const double bits = 8.0 * static_cast<double>(packed.size() + 4) / kBlocksize;
  fmt::print(
      "A block of {} weights from N(0, 0.02²), the first {} of them; absmax {:.6f}.\n{}"
      "The worst error is {:.4f} of absmax; it could be {:.4f}. Codes take {} bytes, absmax 4:\n"
      "{:.1f} bits a weight.\n\n",
      kBlocksize, kShown, absmax[0], table.text(), worst / double{absmax[0]},
      (kNf4Code[1] - kNf4Code[0]) / 2.0f, packed.size(), bits);
  Json j = Json::object();
  j["absmax"] = double{absmax[0]};
  j["worst_error_over_absmax"] = worst / double{absmax[0]};
  j["bits_per_weight"] = bits;
  return j;
}

Json print_errors(const std::vector<float>& embedded) {
  const std::vector<float> normal = normal_sample(kSample, {kSeed, 0});
  const std::vector<float> heavy = heavy_tailed_sample(kSample, kSeed);
  Json j = Json::object();
  Table table(
      {"format", "N(0, 1)", "Student's t, 4 degrees", "embedded model", "one scale for all"},
      "lrrrr");
  for (const Format& f : formats()) {
    Json row = Json::object();
    row["normal"] = error_of(f, normal, kBlocksize);
    row["heavy_tailed"] = error_of(f, heavy, kBlocksize);
    row["embedded"] = error_of(f, embedded, kBlocksize);
    row["embedded_one_scale"] = error_of(f, embedded, static_cast<std::int64_t>(embedded.size()));
    std::vector<std::string> cells{f.name};
    for (const auto& [name, value] : row.as_object()) {
      cells.push_back(fmt::format("{:.1f} %", 100.0 * value.as_number()));
    }
    table.add(cells);
    j[f.name] = std::move(row);
  }
  fmt::print(
      "Root mean square error in blocks of 64, relative to the weights'. The last column is the\n"
      "embedded model again, with one absmax for all its weights.\n{}\n",
      table.text());
  return j;
}

// Instead of a look at a published checkpoint's weights (NF-09).
Json print_statistics(const std::vector<NamedWeight>& weights) {
  Json j = Json::object();
  Table table(
      {"embedded model", "weights", "excess kurtosis", "normal quantile fit", "code entropy"},
      "lrrrr");
  for (const std::string kind :
       {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}) {
    std::size_t numel = 0;
    double layers = 0.0;
    std::array<double, 3> sums{};
    for (const NamedWeight& w : weights) {
      if (w.kind != kind) continue;
      numel += w.values.size();
      layers += 1.0;
      sums[0] += excess_kurtosis(w.values);
      sums[1] += quantile_correlation(w.values);
      sums[2] += code_entropy(nf4_codes(w.values, kBlocksize));
    }
    Json row = Json::object();
    row["excess_kurtosis"] = sums[0] / layers;
    row["quantile_correlation"] = sums[1] / layers;
    row["code_entropy"] = sums[2] / layers;
    table.add({kind, grouped(static_cast<std::int64_t>(numel)),
               fmt::format("{:.2f}", sums[0] / layers), fmt::format("{:.4f}", sums[1] / layers),
               fmt::format("{:.2f} bits", sums[2] / layers)});
    j[kind] = std::move(row);
  }
  fmt::print(
      "Are weights normal? A stand-in for a published checkpoint: means over the layers of the\n"
      "embedded model. A normal sample has 0, 1 and {:.2f} bits.\n{}\n",
      code_entropy(nf4_codes(normal_sample(kSample, {kSeed, 0}), kBlocksize)), table.text());
  return j;
}

// Instead of the evaluation of a fine-tuned model (NF-10).
Json print_losses() {
  Json j = Json::object();
  const double whole = embedded_loss(kDescriptions, [](std::span<float>) {});
  j["float32"] = whole;
  std::string line = fmt::format("float32 {:.3f}", whole);
  for (const Format& f : formats()) {
    const double loss = embedded_loss(kDescriptions, [&](std::span<float> weight) {
      const std::vector<float> x(weight.begin(), weight.end());
      f.restore(x, kBlocksize, weight);
    });
    j[f.name] = loss;
    line += fmt::format(", {} {:+.3f}", f.name, loss - whole);
  }
  fmt::print(
      "What it costs: a stand-in for the evaluation of a tuned model. Loss of the embedded model "
      "on\n"
      "{} new product descriptions, in nats a token:\n{}\n",
      kDescriptions, line);
  return j;
}

}  // namespace

Json tell() {
  const std::vector<NamedWeight> weights = embedded_weights();
  Json j = Json::object();
  j["nf4_code"] = print_codebook();
  j["derivation"] = print_derivations();
  j["block"] = print_block();
  j["error_by_format"] = print_errors(joined_values(weights));
  j["embedded_statistics"] = print_statistics(weights);
  j["embedded_loss"] = print_losses();
  return j;
}

}  // namespace qlora::chapter03
