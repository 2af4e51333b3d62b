#include "lesson.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <cstdio>

#include "core/random.h"
#include "course/table.h"
#include "quantization/nf4.h"

namespace qlora {
namespace {

constexpr std::int64_t kBlocksize = 64;
constexpr std::int64_t kShown = 8;

Json print_codebook() {
  Table table({"code", "value", "gap to the next"}, "rrr");
  for (std::size_t c = 0; c < kNf4Code.size(); ++c) {
    const bool last = c + 1 == kNf4Code.size();
    table.add({std::to_string(c), fmt::format("{:.7f}", kNf4Code[c]),
               last ? "" : fmt::format("{:.4f}", kNf4Code[c + 1] - kNf4Code[c])});
  }
  fmt::print("The 16 values of NF4: close together near zero, where most weights are.\n{}\n",
             table.text());
  Json values = Json::array();
  for (float value : kNf4Code) values.push_back(double{value});
  return values;
}

Json print_block() {
  std::array<float, kBlocksize> x{};
  const Random random{3, 0};
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = 0.02f * random.normal(i);

  std::array<std::uint8_t, kBlocksize / 2> packed{};
  std::array<float, 1> absmax{};
  std::array<float, kBlocksize> restored{};
  quantize_nf4(x, kBlocksize, packed, absmax);
  dequantize_nf4(packed, absmax, kBlocksize, restored);

  Table table({"x", "x / absmax", "code", "restored", "error"}, "rrrrr");
  double error = 0.0;
  double energy = 0.0;
  double worst = 0.0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double e = static_cast<double>(restored[i]) - static_cast<double>(x[i]);
    error += e * e;
    energy += static_cast<double>(x[i]) * static_cast<double>(x[i]);
    worst = std::max(worst, std::abs(e));
    if (i >= kShown) continue;
    const int code = i % 2 == 0 ? packed[i / 2] >> 4 : packed[i / 2] & 15;
    table.add({fmt::format("{:.6f}", x[i]), fmt::format("{:.4f}", x[i] / absmax[0]),
               std::to_string(code), fmt::format("{:.6f}", restored[i]), fmt::format("{:.6f}", e)});
  }
  fmt::print("A block of 64 weights from N(0, 0.02²), the first {} of them; absmax {:.6f}.\n{}",
             kShown, absmax[0], table.text());
  fmt::print(
      "Root mean square error {:.1f} % of the weights'; the worst {:.4f} of absmax, at most "
      "{:.4f}.\n",
      100.0 * std::sqrt(error / energy), worst / absmax[0], (kNf4Code[1] - kNf4Code[0]) / 2.0f);
  fmt::print("64 weights take {} bytes of codes and 4 of absmax: {:.1f} bits each.\n",
             packed.size(), 8.0 * static_cast<double>(packed.size() + 4) / kBlocksize);
  Json j = Json::object();
  j["absmax"] = double{absmax[0]};
  j["relative_rmse"] = std::sqrt(error / energy);
  j["worst_error_over_absmax"] = worst / double{absmax[0]};
  return j;
}

}  // namespace

Json print_lesson() {
  Json j = Json::object();
  j["nf4_code"] = print_codebook();
  j["block"] = print_block();
  return j;
}

}  // namespace qlora
