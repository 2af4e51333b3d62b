#include "claims.h"

#include <fmt/format.h>

#include <algorithm>

#include "quantization/quantized_tensor.h"

namespace qlora::chapter04 {
namespace {

constexpr double kMegabyte = 1e6;
constexpr std::int64_t kBytesOf16Bits = 2;

BlockSizes plain(BlockSizes sizes) {
  sizes.double_quant = false;
  return sizes;
}

// What is stored beside the codes of a quantized weight.
void constants(Ledger& ledger, const CourseInputs& in) {
  const Tensor weight = Tensor::zeros(DType::f32, {512, 512});
  const QuantizedTensor q =
      quantize_4bit(weight, QuantType::nf4, in.sizes.blocksize, in.sizes.double_quant);
  const std::span<const float> values = q.code.span<float>();
  const bool has_zero = std::count(values.begin(), values.end(), 0.0f) == 1;
  const std::int64_t constants_a_block = q.absmax.numel() / q.blocks();
  ledger.checked("DQ-03",
                 fmt::format("{} constant for each of {} blocks; the table {} 0", constants_a_block,
                             q.blocks(), has_zero ? "holds" : "lacks"),
                 constants_a_block == 1 && has_zero);
}

}  // namespace

Resident resident(const DecoderSizes& model, const BlockSizes& sizes) {
  const std::vector<Shape> shapes = linear_shapes(model);
  return {four_bit_bytes(shapes, plain(sizes)), four_bit_bytes(shapes, sizes),
          kBytesOf16Bits * other_parameters(model)};
}

void fill_claims(Ledger& ledger, const CourseInputs& in) {
  const Resident r = resident(in.llama, in.sizes);
  ledger.number("DQ-01",
                nominal_bits_per_weight(plain(in.sizes)) - nominal_bits_per_weight(in.sizes));
  ledger.number("DQ-02", static_cast<double>(r.nested.blocks));
  constants(ledger, in);
  const std::string with_and_without =
      "./course run 14 evaluate --model DIR --quantize nf4 --data FILE --report REPORT, once with "
      "--double-quant and once without; compare the perplexities";
  ledger.experiment("DQ-04", "embedded_loss");
  ledger.not_checkable("DQ-04",
                       "Whether performance is preserved depends on the checkpoint, which is not "
                       "here; the embedded model stands in.",
                       with_and_without);
  ledger.test("DQ-05", "Chapter04.TheWeightsAreQuantizedOnce");
  // Whether to use it "always" is advice; how much it saves is not.
  ledger.checked("DQ-06",
                 fmt::format("saves {:.2f} %: {:.1f} of {:.1f} MB", r.saved_percent(),
                             static_cast<double>(r.saved()) / kMegabyte,
                             static_cast<double>(r.total()) / kMegabyte),
                 std::abs(r.saved_percent() - 5.5) < 0.05);
  ledger.not_checkable("DQ-06",
                       "\"Always\" is advice, which weighs the bytes saved, computed here, against "
                       "a loss of quality that only the real checkpoint shows.",
                       with_and_without);
}

}  // namespace qlora::chapter04
