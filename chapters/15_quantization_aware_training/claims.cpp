#include "claims.h"

#include <fmt/format.h>

#include <algorithm>

#include "course/text.h"
#include "quantization/footprint.h"

namespace qlora::chapter15 {
namespace {

constexpr double kFloat = 4.0, kBFloat16 = 2.0;
constexpr double kTrained = 4 * kFloat;  // value, gradient, two moments

}  // namespace

Cost cost_of(const CourseInputs& in) {
  const std::vector<LinearShape> linears = stacked(in.layer, in.layers);
  Cost c;
  c.all = decoder_parameters(in.layer, in.layers, in.hidden, in.vocabulary, true);
  std::vector<Shape> shapes;
  shapes.reserve(linears.size());
  for (const LinearShape& l : linears) shapes.push_back({l.N, l.K});
  c.linear = total_numel(shapes);
  LoraConfig config;
  config.r = in.rank;
  config.target_modules = in.modules;
  c.adapters = lora_parameters(adapter_shapes(config, linears));
  const FourBitBytes nf4 = four_bit_bytes(shapes, {64, true});
  c.result = static_cast<double>(nf4.packed + nf4.constants()) +
             static_cast<double>(c.all - c.linear) * kBFloat16;
  c.qlora = c.result + static_cast<double>(c.adapters) * kTrained;
  c.full = static_cast<double>(c.all) * kTrained;
  // gate and up share an input, and are quantized and restored together
  std::int64_t seen = 0, largest = 0;
  for (const LinearShape& l : in.layer) {
    if (!l.name.ends_with("gate_proj") && !l.name.ends_with("up_proj")) continue;
    seen += dense_parameters(l);
    largest = std::max(largest, dense_parameters(l));
  }
  c.qat = c.full + static_cast<double>(seen + largest) * kFloat;
  return c;
}

void fill_claims(Ledger& ledger, const CourseInputs& in) {
  constexpr double kGigabyte = 1e9;
  const Cost c = cost_of(in);
  ledger.test("QA-01", "FakeQuantizedDecoder.GradientsAreThoseOfAModelOfTheQuantizedWeights");
  ledger.checked(
      "QA-02",
      fmt::format("QLoRA trains {} numbers, none of them quantized, in {:.1f} GB; QAT "
                  "trains {} and takes {:.1f} GB",
                  grouped(c.adapters), c.qlora / kGigabyte, grouped(c.all), c.qat / kGigabyte),
      c.adapters < c.all / 100 && c.qlora < c.qat / 10);
  ledger.experiment("QA-03", "network");
  ledger.not_checkable(
      "QA-03",
      "A small network shows it for itself; of a language model it is known only when all its "
      "weights have been trained both ways.",
      "./course run 15 experiment decoder trains the embedded model both ways; with a checkpoint "
      "of your own, torchao's quantization-aware training of it, and ./course run 14 evaluate "
      "--model DIR --quantize nf4 --data FILE --report REPORT of what comes out against plain "
      "training's");
}

}  // namespace qlora::chapter15
