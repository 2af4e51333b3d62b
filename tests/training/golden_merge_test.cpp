// Adapters merged into their base, against PEFT's merge_and_unload.
#include <gtest/gtest.h>

#include "checkpoint/combine_adapters.h"
#include "checkpoint/safetensors.h"
#include "llama/adapters.h"
#include "llama/load.h"
#include "support/golden.h"
#include "support/golden_batch.h"
#include "support/matcher.h"

namespace qlora {
namespace {

using testing::all_close;
using testing::batch_of;
using testing::golden;
using testing::logits_of;
using testing::model_with;
using testing::without_padding;

TEST(GoldenMerge, IntoFloat32) {
  LlamaModel model = model_with("llama/a_fp32", "qlora/adapter_nonzero");
  merge_adapters(model);
  const auto expected = SafetensorsFile::open(golden("qlora/merged_fp32.safetensors"));
  std::size_t compared = 0;
  for (const auto& [name, weight] : dense_weights(model)) {
    if (!expected.has(name)) continue;
    EXPECT_TRUE(all_close(weight, expected.tensor(name), 1e-6)) << name;  // measured 1.2e-7
    ++compared;
  }
  EXPECT_EQ(compared, expected.tensors().size());
  const auto file = SafetensorsFile::open(golden("qlora/golden.safetensors"));
  const Batch batch = batch_of(file, "");
  EXPECT_TRUE(all_close(
      logits_of(model, batch),
      without_padding(file.tensor("fp32_base.merged.logits"), batch.attention_mask), 1e-4));
}

// dequantize, add, quantize again: a product of our own and a sum move some weights over a
// threshold, so codes are compared by their share, and our logits on the merged file by the band.
TEST(GoldenMerge, IntoNf4) {
  LlamaModel theirs = load_model(golden("qlora/merged_nf4"));
  theirs.reserve_positions(80);
  const auto file = SafetensorsFile::open(golden("qlora/golden.safetensors"));
  const Batch batch = batch_of(file, "");
  EXPECT_TRUE(all_close(logits_of(theirs, batch),
                        without_padding(file.tensor("merged_nf4.logits"), batch.attention_mask),
                        1e-4));

  LlamaModel ours = model_with("llama_nf4/a", "qlora/adapter_nonzero");
  dequantize_base(ours);
  merge_adapters(ours);
  quantize_base(ours, QuantType::nf4, true, DType::f32);
  std::vector<Tensor> packed;
  theirs.for_each_projection(
      [&](const LinearGroup&, const Projection& p) { packed.push_back(p.quantized->packed); });
  std::size_t index = 0;
  std::int64_t equal = 0, all = 0;
  ours.for_each_projection([&](const LinearGroup&, const Projection& p) {
    const Tensor& expected = packed[index++];
    ASSERT_EQ(p.quantized->packed.shape(), expected.shape());
    for (std::int64_t i = 0; i < expected.numel(); ++i) {
      ++all;
      equal += p.quantized->packed.data<std::uint8_t>()[i] == expected.data<std::uint8_t>()[i];
    }
  });
  // The sum W + sBA differs by an ulp or so (6e-8 relative); thresholds are passed by about that
  // share of the weights, 1e-6, times the two codes of a byte: none or a few of 86,000 bytes.
  EXPECT_GE(equal, all - 4);
}

const std::string kVariants = "variants/golden.safetensors";

Tensor expected_logits(const std::string& name, const Batch& batch) {
  return without_padding(SafetensorsFile::open(golden(kVariants)).tensor(name + ".logits"),
                         batch.attention_mask);
}

Batch variants_batch() {
  return batch_of(SafetensorsFile::open(golden(kVariants)), "");
}

// Measured 2.4e-5 between the library and float64; 1e-4 asked for.
TEST(GoldenMerge, DoraGivesThePlainModelOfTheSameLogits) {
  LlamaModel model = model_with("llama/a_fp32", "variants/dora");
  const Batch batch = variants_batch();
  const MergedAdapters merged = merge_adapters(model);
  EXPECT_TRUE(adapter_parameters(model).empty());
  EXPECT_TRUE(all_close(logits_of(model, batch), expected_logits("dora", batch), 1e-4));
  unmerge_adapters(model, merged);
  EXPECT_TRUE(all_close(logits_of(model, batch), expected_logits("dora", batch), 1e-4));
  take_adapters(model);
  EXPECT_TRUE(all_close(logits_of(model, batch), expected_logits("multi.none", batch), 1e-4));
}

TEST(GoldenMerge, UnmergingGivesTheBaseBack) {
  LlamaModel model = model_with("llama/a_fp32", "variants/multi/first");
  attach_lora(model, read_adapter(golden("variants/multi/second")));
  const Batch batch = variants_batch();
  const MergedAdapters merged = merge_adapters(model);
  EXPECT_TRUE(
      all_close(logits_of(model, batch), expected_logits("multi.first_and_second", batch), 1e-4));
  unmerge_adapters(model, merged);
  EXPECT_TRUE(
      all_close(logits_of(model, batch), expected_logits("multi.first_and_second", batch), 1e-4));
  take_adapters(model);
  EXPECT_TRUE(all_close(logits_of(model, batch), expected_logits("multi.none", batch), 1e-4));
}

TEST(GoldenSwitch, AdaptersComeAndGoOnOneBase) {
  LlamaModel model = model_with("llama/a_fp32", "variants/multi/first");
  const Batch batch = variants_batch();
  const AdapterSet first = take_adapters(model);
  attach_lora(model, read_adapter(golden("variants/multi/second")));
  const AdapterSet second = take_adapters(model);
  for (const auto& [set, name] : {std::pair{&second, "second"}, {&first, "first"}}) {
    put_adapters(model, *set);
    EXPECT_TRUE(all_close(logits_of(model, batch),
                          expected_logits(std::string("multi.") + name, batch), 1e-4));
  }
  take_adapters(model);
  EXPECT_TRUE(all_close(logits_of(model, batch), expected_logits("multi.none", batch), 1e-4));
  EXPECT_THROW(put_adapters(model, {}), std::invalid_argument);
}

// PEFT's mixes of `first` and `third` with the weights 0.7 and 0.4.
TEST(GoldenMixes, LogitsOfCombinedAdapters) {
  const std::vector<PeftAdapter> adapters{read_adapter(golden("variants/multi/first")),
                                          read_adapter(golden("variants/multi/third"))};
  for (const auto& [combination, name] : {std::pair{Combination::linear, "mix_linear"},
                                          {Combination::cat, "mix_cat"},
                                          {Combination::svd, "mix_svd"}}) {
    LlamaModel model = load_model(golden("llama/a_fp32"));
    model.reserve_positions(80);
    attach_lora(model, combine_adapters(adapters, std::vector{0.7, 0.4}, combination));
    const Batch batch = variants_batch();
    EXPECT_TRUE(all_close(logits_of(model, batch),
                          expected_logits(std::string("multi.") + name, batch), 1e-4))
        << name;
  }
}

}  // namespace
}  // namespace qlora
