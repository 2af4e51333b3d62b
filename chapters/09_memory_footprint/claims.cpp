#include "claims.h"

#include <fmt/format.h>

#include "course/text.h"

namespace qlora::chapter09 {
namespace {

double gigabytes(std::int64_t bytes) {
  return static_cast<double>(bytes) / 1e9;
}

std::int64_t parameters(const DecoderSizes& sizes) {
  return total_numel(linear_shapes(sizes)) + other_parameters(sizes);
}

double saved(const Footprint& part, const Footprint& whole) {
  return 100.0 * (1.0 - static_cast<double>(part.reported) / static_cast<double>(whole.reported));
}

}  // namespace

Footprint dense_footprint(const DecoderSizes& sizes, std::int64_t bytes) {
  return {parameters(sizes) * bytes, 0};
}

Footprint int8_footprint(const DecoderSizes& sizes, std::int64_t other_bytes) {
  constexpr std::int64_t kFloat = 4;
  Footprint f{other_parameters(sizes) * other_bytes, 0};
  for (const Shape& shape : linear_shapes(sizes)) {
    f.reported += numel_of(shape);
    f.scales += kFloat * shape[0];
  }
  return f;
}

Footprint nf4_footprint(const DecoderSizes& sizes, const BlockSizes& blocks,
                        std::int64_t other_bytes) {
  const FourBitBytes bytes = four_bit_bytes(linear_shapes(sizes), blocks);
  return {bytes.packed + other_parameters(sizes) * other_bytes, bytes.constants()};
}

std::int64_t attention_adapters(const DecoderSizes& s, std::int64_t R) {
  const std::int64_t q_and_o = 2 * (s.hidden + s.attention);
  const std::int64_t k_and_v = 2 * (s.hidden + s.key_value);
  return s.layers * R * (q_and_o + k_and_v);
}

void fill_claims(Ledger& ledger, const CourseInputs& in) {
  const Footprint whole = dense_footprint(in.sizes, in.loaded_bytes);
  const Footprint int8 = int8_footprint(in.sizes, in.other_bytes);
  const Footprint nf4 = nf4_footprint(in.sizes, in.blocks, in.other_bytes);
  const std::int64_t trained = attention_adapters(in.sizes, in.rank);
  const std::int64_t adapters = trained * in.adapter_bytes;
  for (const char* id : {"ME-01", "ME-02"}) ledger.number(id, gigabytes(whole.reported));
  ledger.number("ME-03", gigabytes(int8.reported));
  ledger.number("ME-04", saved(int8, whole));
  ledger.number("ME-05", gigabytes(nf4.reported));
  ledger.number("ME-06", saved(nf4, whole));
  ledger.number("ME-07", gigabytes(nf4.reported + adapters));
  const auto printed = [&](std::int64_t bytes) {
    return fmt::format("{:.2f}", gigabytes(nf4.reported + trained * bytes));
  };
  ledger.checked(
      "ME-08",
      fmt::format("{:.2f} MB of adapters: {} GB together; in 16 bits it would print {}",
                  static_cast<double>(adapters) / 1e6, printed(in.adapter_bytes), printed(2)),
      printed(in.adapter_bytes) == "2.27" && printed(2) != "2.27");
  ledger.not_checkable(
      "ME-09",
      "That adapters stay in full precision is shown [ME-08]; that quality is unchanged is said of "
      "real models, and takes runs of LoRA and of QLoRA on the same data.",
      "./course run 12 experiment lora-against-qlora --model DIR (without --model the embedded "
      "model answers)");
  ledger.text("ME-10", fmt::format("{:.2f} GB", gigabytes(nf4.reported)));
  const std::int64_t counted = parameters(in.sizes);
  ledger.checked("ME-11",
                 fmt::format("{} · {} B = {} B = {:.3f} GB of 1e9 B, {:.3f} GiB", grouped(counted),
                             in.loaded_bytes, grouped(whole.reported), gigabytes(whole.reported),
                             static_cast<double>(whole.reported) / 0x1p30),
                 whole.reported == counted * in.loaded_bytes);
  const std::int64_t card = in.card_mebibytes << 20;
  ledger.number("ME-12", gigabytes(card));
  // The base as it is resident is written with three decimals.
  const std::int64_t resident = nf4.reported + nf4.scales;
  ledger.number("ME-13", gigabytes(resident + trained * in.trained_bytes), 0.0005);
  ledger.number("ME-14", gigabytes(counted * in.trained_bytes));
  ledger.number("ME-15", gigabytes(whole.reported + int8.reported));
  ledger.checked("ME-16",
                 fmt::format("{:.3f} GB base + {:.3f} GB adapters", gigabytes(nf4.reported),
                             gigabytes(adapters)),
                 whole.reported > 5 * (nf4.reported + adapters));
}

}  // namespace qlora::chapter09
