#include "claims.h"

#include <fmt/format.h>

#include "course/text.h"
#include "lora/counting.h"

namespace qlora::chapter17 {
namespace {

double gigabytes(std::int64_t bytes) {
  return static_cast<double>(bytes) / 1e9;
}

}  // namespace

std::int64_t parameters_of(const DecoderSizes& sizes) {
  return total_numel(linear_shapes(sizes)) + other_parameters(sizes);
}

std::int64_t qlora_bytes(const CourseInputs& in) {
  const DecoderSizes& s = in.sizes;
  const FourBitBytes base = four_bit_bytes(linear_shapes(s), in.blocks);
  const LinearShape q_and_o{"q_proj", s.hidden, s.attention},
      k_and_v{"k_proj", s.hidden, s.key_value};
  const std::int64_t adapters =
      2 * s.layers * (lora_parameters(q_and_o, in.rank) + lora_parameters(k_and_v, in.rank));
  return base.packed + base.constants() + in.other_bytes * other_parameters(s) +
         state_bytes(adapters, in.trained, Sharding::none, 1);
}

void fill_claims(Ledger& ledger, const CourseInputs& in) {
  const auto full = [&](std::int64_t parameters) {
    return state_bytes(parameters, in.trained, Sharding::none, 1);
  };
  const std::int64_t counted = parameters_of(in.sizes), bytes = full(counted);
  const std::int64_t lite = qlora_bytes(in);
  ledger.test("FF-01", "FullTuning.GoesOnFromThePretrainedWeights");
  ledger.checked(
      "FF-02",
      fmt::format("{} trainable; {} B each = {:.2f} GB; QLoRA lite {:.2f} GB", grouped(counted),
                  in.trained.total(), gigabytes(bytes), gigabytes(lite)),
      bytes == 16 * counted && 20 * lite < bytes);
  ledger.experiment("FF-03", "forgetting");
  ledger.not_checkable(
      "FF-03",
      "How much is forgotten depends on the model and on both texts; the embedded model stands in.",
      "full fine-tuning of the checkpoint by transformers' Trainer, saved to FULL; ./course run 14 "
      "evaluate --data OLD_TEXT --report REPORT with --model DIR and with --model FULL, and for "
      "LoRA with --model DIR --adapter ADAPTER of train --quantize none; compare the perplexities");
  ledger.checked("FF-04",
                 fmt::format("{:.2f} GB for 3B, {:.1f} GB for Llama 2 7B, {:.2f} TB for 175 B",
                             gigabytes(bytes), gigabytes(full(parameters_of(in.other))),
                             gigabytes(full(in.largest)) / 1e3),
                 full(parameters_of(in.other)) == 107'814'649'856);
  ledger.not_checkable(
      "FF-05",
      "Neither size nor training data of that model are public, and its weights cannot be had.",
      "nothing can be run on GPT-4; of an open base ./course run 8 inspect --model DIR shows what "
      "it is made of, and the model card says how many tokens it was trained on");
  const auto is_more_than = [&](double card) { return static_cast<double>(bytes) > card; };
  ledger.checked("FF-06",
                 fmt::format("{:.1f} GB before activations, cards of {:.0f} and {:.0f} GB",
                             gigabytes(bytes), in.consumer_card / 1e9, in.smaller_card / 1e9),
                 is_more_than(in.consumer_card) && is_more_than(in.smaller_card));
  ledger.checked("FF-07",
                 fmt::format("{:.1f} GB of a card's {:.0f}: {:.1f} GB are left for activations",
                             gigabytes(bytes), in.data_center_card / 1e9,
                             in.data_center_card / 1e9 - gigabytes(bytes)),
                 !is_more_than(in.data_center_card));
}

}  // namespace qlora::chapter17
