#include "claims.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/random.h"
#include "course/text.h"
#include "llama/load.h"
#include "quantization/absmax_int8.h"
#include "quantization/formats.h"
#include "quantization/nf4.h"

namespace qlora::chapter02 {
namespace {

constexpr double kGB = 1e9;
constexpr double kGiB = 1073741824.0;

// Different values among the elements.
template <typename T>
std::size_t distinct(std::vector<T> values) {
  std::sort(values.begin(), values.end());
  return static_cast<std::size_t>(std::unique(values.begin(), values.end()) - values.begin());
}

void formats(Ledger& ledger) {
  const FloatFormat single = float_format(DType::f32);
  const FloatFormat half = float_format(DType::f16);
  const FloatFormat brain = float_format(DType::bf16);
  ledger.number("FMT-01", single.bits());
  ledger.number("FMT-02", half.bits());
  ledger.checked(
      "FMT-21",
      fmt::format("bf16: {} exponent bits, largest {:.2e}, {} mantissa bits; fp16: "
                  "largest {:g}",
                  brain.exponent_bits, brain.largest(), brain.mantissa_bits, half.largest()),
      brain.exponent_bits == single.exponent_bits && half.largest() == 65504.0 &&
          brain.mantissa_bits < half.mantissa_bits && brain.bits() == half.bits());
}

void sizes(Ledger& ledger, const CourseInputs& in) {
  const LlamaConfig model = named_config(in.model);
  const LlamaConfig larger = named_config(in.larger);
  ledger.number("FMT-03", nominal_bytes(model, in.full) / kGB);
  ledger.number("FMT-04", nominal_bytes(model, in.half) / kGB);
  ledger.number("FMT-05", nominal_bytes(model, in.byte) / kGB);
  ledger.number("FMT-06", nominal_bytes(model, in.nibble) / kGB);
  ledger.number("FMT-07", std::exp2(in.byte));
  ledger.number("FMT-08", std::exp2(in.nibble));
  ledger.number("FMT-09", std::exp2(in.full));
  ledger.number("FMT-10", 100.0 * (1.0 - static_cast<double>(in.nibble) / in.full));
  ledger.number("FMT-11", nominal_bytes(model, in.nibble) / kGB);
  ledger.number("FMT-12", in.round_parameters * in.full / 8.0 / kGB);
  const double whole = nominal_bytes(larger, in.full);
  ledger.number("FMT-13", whole / kGB);
  ledger.number("FMT-14", in.round_parameters * in.byte / 8.0 / kGB);
  ledger.number("FMT-15", in.round_parameters * in.nibble / 8.0 / kGB);
  ledger.checked("FMT-22",
                 fmt::format("{:.2f} GiB > {:g} GiB; {:.2f} GB > {:g} GB", whole / kGiB,
                             in.card_gib, whole / kGB, in.card_gib),
                 whole / kGiB > in.card_gib && whole / kGB > in.card_gib);
  ledger.number("FMT-28", nominal_bytes(model, in.half) / kGB);
  ledger.checked("FMT-19", fmt::format("{}x and {}x", in.full / in.byte, in.full / in.nibble),
                 in.full == 4 * in.byte && in.full == 8 * in.nibble);
}

// What comes of quantizing a row of normal values.
void levels(Ledger& ledger, const CourseInputs& in) {
  constexpr std::size_t kValues = 4096;
  std::vector<float> x(kValues);
  const Random random{2, 0};
  for (std::size_t i = 0; i < kValues; ++i) x[i] = random.normal(i);
  std::vector<std::int8_t> q(kValues);
  std::vector<float> absmax(1);
  quantize_rowwise_int8(x, 1, kValues, q, absmax);
  std::vector<std::uint8_t> packed(kValues / 2);
  std::vector<float> restored(kValues);
  std::vector<float> block_absmax(1);
  quantize_nf4(x, kValues, packed, block_absmax);
  dequantize_nf4(packed, block_absmax, kValues, restored);
  const auto [low, high] = std::minmax_element(q.begin(), q.end());
  ledger.checked(
      "FMT-16",
      fmt::format("int8: here integers {} … {}, and one absmax a row; NF4: an index into "
                  "{} reals",
                  *low, *high, kNf4Code.size()),
      std::max(-*low, +*high) == 127 && kNf4Code.size() == 16);
  ledger.checked(
      "FMT-17",
      fmt::format("{} values become {} (int8), {} (NF4)", kValues, distinct(q), distinct(restored)),
      distinct(q) <= 255 && distinct(restored) <= 16);
  const LlamaConfig model = named_config(in.model);
  ledger.checked("FMT-18",
                 fmt::format("{} before and after; in NF4 {} of them lie in {} bytes",
                             grouped(model.parameter_count()), grouped(linear_parameters(model)),
                             grouped(linear_parameters(model) / 2)),
                 packed.size() * 2 == x.size() && restored.size() == x.size());
}

// A layer as print(model) shows it once it is loaded at so many bits (bitsandbytes: nn.modules).
std::string printed_layer(const LlamaConfig& config, int bits) {
  const std::string name = bits == 8 ? "Linear8bitLt" : bits == 4 ? "Linear4bit" : "Linear";
  return fmt::format("(q_proj): {}(in_features={}, out_features={}, bias=False)", name,
                     config.hidden_size, config.attention_size());
}

// What no arithmetic on formats decides: the speed of kernels, and the quality of a real model.
void qualities(Ledger& ledger) {
  ledger.not_checkable(
      "FMT-20",
      "Speed is a matter of kernels and of the device: a 4-bit layer is dequantized at every use, "
      "and reads fewer bytes.",
      "on the device: ./course run 8 generate --model DIR --prompt TEXT --quantize FORMAT --json "
      "FILE with FORMAT none, int8 (--device cpu: it has no CUDA version here) and nf4; compare "
      "tokens_per_second");
  const std::string perplexities =
      "./course run 14 evaluate --model DIR --quantize FORMAT --data FILE --report REPORT with "
      "FORMAT none, int8 (with --device cpu) and nf4 on the same held-out text; compare the "
      "perplexities";
  ledger.experiment("FMT-23", "embedded_model");
  ledger.not_checkable("FMT-23",
                       "It is said of large pre-trained models, whose weights are not here; the "
                       "embedded model of 2.8 M parameters stands in.",
                       perplexities);
  ledger.experiment("FMT-24", "embedded_model");
  ledger.not_checkable("FMT-24",
                       "How much quality four bits cost depends on the checkpoint, which is not "
                       "here; the embedded model of 2.8 M parameters stands in.",
                       perplexities);
  ledger.not_checkable("FMT-25",
                       "An analogy has no value to compute; what it stands for, the loss of a real "
                       "checkpoint in fewer bits, needs that checkpoint.",
                       perplexities);
}

}  // namespace

std::int64_t linear_parameters(const LlamaConfig& c) {
  const std::int64_t attention = c.hidden_size * (c.qkv_size() + c.attention_size());
  return c.num_hidden_layers * (attention + 3 * c.hidden_size * c.intermediate_size);
}

double nominal_bytes(const LlamaConfig& config, int bits) {
  return static_cast<double>(config.parameter_count()) * bits / 8.0;
}

double loaded_bytes(const LlamaConfig& config, int bits) {
  const auto linear = static_cast<double>(linear_parameters(config));
  return linear * bits / 8.0 + (static_cast<double>(config.parameter_count()) - linear) * 2.0;
}

void fill_claims(Ledger& ledger, const CourseInputs& in) {
  formats(ledger);
  sizes(ledger, in);
  levels(ledger, in);
  qualities(ledger);
  ledger.test("FMT-26", "LinearInt8.EqualsLinear8bitLt");
  const std::string layer = printed_layer(named_config(in.model), in.byte);
  ledger.checked("FMT-27", layer, layer.find(" Linear8bitLt(") != std::string::npos);
}

}  // namespace qlora::chapter02
