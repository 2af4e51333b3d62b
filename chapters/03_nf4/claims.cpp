#include "claims.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "quantization/quantized_tensor.h"

namespace qlora::chapter03 {
namespace {

constexpr double kRoundedTo4Digits = 5e-5;
constexpr double kPercent = 100.0;

double smallest_gap(const Codebook& code) {
  double gap = INFINITY;
  for (std::size_t k = 0; k + 1 < code.size(); ++k) {
    gap = std::min(gap, static_cast<double>(code[k + 1]) - static_cast<double>(code[k]));
  }
  return gap;
}

double share(std::int64_t part, std::int64_t whole) {
  return kPercent * static_cast<double>(part) / static_cast<double>(whole);
}

// What transformers prints for a linear layer: its class carries the bits of a stored weight.
std::string linear_class(bool load_in_4bit) {
  if (!load_in_4bit) return "Linear";
  const Tensor weight = Tensor::zeros(DType::f32, {64, 64});
  const QuantizedTensor q = quantize_4bit(weight, QuantType::nf4);
  return fmt::format("Linear{}bit", 8 * static_cast<std::int64_t>(q.packed.nbytes()) / q.numel());
}

void derivation(Ledger& ledger, const CourseInputs& in) {
  const Codebook derived = create_normal_map(in.offset);
  int equal = 0;
  double furthest = 0.0;
  for (std::size_t k = 0; k < derived.size(); ++k) {
    equal += derived[k] == in.codebook[k] ? 1 : 0;
    furthest = std::max(furthest, std::abs(static_cast<double>(derived[k] - in.codebook[k])));
  }
  // The right value grants 2e-7; the derivation in float32 leaves nothing.
  ledger.checked("NF-03",
                 fmt::format("{} of 16 values to the bit, furthest {:.0e} off", equal, furthest),
                 furthest <= 2e-7);
}

void weights_and_the_rest(Ledger& ledger, const CourseInputs& in) {
  const std::int64_t linear = total_numel(linear_shapes(in.llama));
  ledger.number("NF-05", share(linear, linear + other_parameters(in.llama)));
  const std::int64_t embedding = in.gemma.vocabulary * in.gemma.hidden;
  const std::int64_t gemma = total_numel(linear_shapes(in.gemma)) + other_parameters(in.gemma);
  ledger.number("NF-12", share(embedding, gemma));
  ledger.text("NF-13", linear_class(in.load_in_4bit));
}

void compute_types(Ledger& ledger, const CourseInputs& in) {
  const std::string_view on_t4 = compute_dtype(in.t4_capability, in.bfloat16_capability);
  ledger.checked("NF-08",
                 fmt::format("capability {:.1f}, bfloat16 from {:.1f}: {}", in.t4_capability,
                             in.bfloat16_capability, on_t4),
                 on_t4 == "float16");
  const std::string_view from = compute_dtype(in.bfloat16_capability, in.bfloat16_capability);
  ledger.checked("NF-15",
                 fmt::format("{} at {:.1f}, {} at {:.1f}", on_t4, in.t4_capability, from,
                             in.bfloat16_capability),
                 on_t4 == "float16" && from == "bfloat16");
}

// What is said of pre-trained models: shown on the one that is here.
void stand_ins(Ledger& ledger) {
  ledger.experiment("NF-06", "error_by_format");
  ledger.not_checkable(
      "NF-06",
      "How many people use a format is no property of it, and which is most effective depends on "
      "the checkpoint; the errors of the formats on normal weights stand in.",
      "./course run 14 evaluate --model DIR --quantize FORMAT --data FILE --report REPORT with "
      "FORMAT nf4, fp4 and int8 (with --device cpu) on the same text; for popularity count "
      "quantization_config.bnb_4bit_quant_type in the config.json of the hub's 4-bit models");
  ledger.experiment("NF-09", "embedded_statistics");
  ledger.not_checkable(
      "NF-09",
      "Whether trained weights are normal is a fact of each checkpoint; here is only the embedded "
      "model.",
      "in Python with safetensors and scipy, for every *_proj.weight of the checkpoint: "
      "scipy.stats.kurtosis(w.float().flatten().numpy()), which is 0 where w is normal");
  ledger.experiment("NF-10", "embedded_loss");
  ledger.not_checkable(
      "NF-10",
      "The loss that counts is that of a large model on its own task, before and after tuning; "
      "here is only the embedded model.",
      "./course run 14 evaluate --model DIR --data FILE --report REPORT with --quantize none and "
      "with --quantize nf4, and the tuned model with --adapter DIR beside the latter");
}

}  // namespace

std::string_view compute_dtype(double capability, double bfloat16_from) {
  return capability < bfloat16_from ? "float16" : "bfloat16";
}

void fill_claims(Ledger& ledger, const CourseInputs& in) {
  ledger.number(
      "NF-01", static_cast<double>(std::set<float>(in.codebook.begin(), in.codebook.end()).size()));
  ledger.number("NF-02", smallest_gap(in.codebook), kRoundedTo4Digits);
  derivation(ledger, in);
  ledger.test("NF-04", "Chapter03.QuantTypeNf4IsBlocksOf64AbsmaxAndNearestOf16");
  weights_and_the_rest(ledger, in);
  compute_types(ledger, in);
  ledger.test("NF-07", "Linear4bit.Forward");
  ledger.test("NF-11", "QuantizeFiles.GivesWhatBitsandbytesGives");
  ledger.test("NF-14", "Chapter03.OnlyTheBaseIsQuantized");
  stand_ins(ledger);
}

}  // namespace qlora::chapter03
