// Adapters merged into model folders, against PEFT's merge_and_unload.
#include "checkpoint/merge_folder.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "checkpoint/files.h"
#include "checkpoint/quantize_files.h"
#include "support/golden.h"
#include "support/matcher.h"

namespace qlora {
namespace {

using testing::all_close;
using testing::golden;
using testing::same_bytes;
using testing::scratch;

MergeSettings with(const std::vector<std::string>& adapters) {
  MergeSettings s;
  for (const std::string& name : adapters) s.adapters.push_back(read_adapter(golden(name)));
  return s;
}

std::string output(const std::string& name) {
  return (scratch() / name).string();
}

TEST(MergeFolder, IntoFloat32IsPefts) {
  const std::string out = output("merged_fp32");
  const MergeSummary summary =
      merge_folder(golden("llama/a_fp32"), out, with({"qlora/adapter_nonzero"}));
  EXPECT_EQ(summary.merged, 3u * 7u);
  EXPECT_FALSE(summary.error);
  const ModelFolder ours = ModelFolder::open(out), base = ModelFolder::open(golden("llama/a_fp32"));
  const auto theirs = SafetensorsFile::open(golden("qlora/merged_fp32.safetensors"));
  for (const TensorInfo& t : theirs.tensors()) {
    EXPECT_TRUE(all_close(ours.tensors.tensor(t.name), theirs.tensor(t.name), 1e-6)) << t.name;
  }
  EXPECT_EQ(ours.tensors.names(), base.tensors.names());
  EXPECT_TRUE(same_bytes(ours.tensors.tensor("model.embed_tokens.weight"),
                         base.tensors.tensor("model.embed_tokens.weight")));
}

TEST(MergeFolder, SixteenBitsStaySixteenBits) {
  const std::string out = output("merged_bf16"), wide = output("merged_bf16_wide");
  MergeSettings settings = with({"qlora/adapter_nonzero"});
  merge_folder(golden("llama/a_bf16"), out, settings);
  settings.dtype = DType::f32;
  merge_folder(golden("llama/a_bf16"), wide, settings);
  const ModelFolder narrow = ModelFolder::open(out), full = ModelFolder::open(wide);
  const std::string name = "model.layers.1.mlp.up_proj.weight";
  EXPECT_EQ(narrow.tensors.info(name).dtype, DType::bf16);
  // in float32, and rounded once
  EXPECT_TRUE(same_bytes(narrow.tensors.tensor(name), full.tensors.tensor(name).to(DType::bf16)));
  EXPECT_EQ(dtype_of(full.config), DType::f32);
}

TEST(MergeFolder, AQuantizedBaseBecomesDense) {
  const std::string out = output("merged_of_nf4");
  merge_folder(golden("llama_nf4/a"), out, with({"qlora/adapter_nonzero"}));
  const ModelFolder ours = ModelFolder::open(out);
  EXPECT_FALSE(quantization_of(ours));
  EXPECT_EQ(ours.config.find("quantization_config"), nullptr);
  EXPECT_EQ(ours.tensors.info("model.layers.0.mlp.up_proj.weight").shape, (Shape{320, 64}));
}

// Codes of a weight that a different rounding moves over a threshold may differ: see
// tests/training/golden_merge_test.cpp.
TEST(MergeFolder, QuantizedAgainIsPefts) {
  const std::string out = output("merged_nf4");
  MergeSettings settings = with({"qlora/adapter_nonzero"});
  settings.requantize = true;
  const MergeSummary summary = merge_folder(golden("llama_nf4/a"), out, settings);
  EXPECT_FALSE(std::filesystem::exists(out + ".merged"));
  const ModelFolder ours = ModelFolder::open(out),
                    theirs = ModelFolder::open(golden("qlora/merged_nf4"));
  const auto config = quantization_of(ours);
  ASSERT_TRUE(config.has_value());
  EXPECT_TRUE(config && config->use_double_quant);
  std::int64_t equal = 0, all = 0;
  for (const std::string& name : theirs.tensors.names()) {
    if (!is_stored_in_4bit(theirs.tensors, name)) continue;
    const QuantizedTensor a = read_4bit(ours.tensors, name), b = read_4bit(theirs.tensors, name);
    ASSERT_EQ(a.packed.shape(), b.packed.shape());
    for (std::int64_t i = 0; i < a.packed.numel(); ++i) {
      ++all;
      equal += a.packed.data<std::uint8_t>()[i] == b.packed.data<std::uint8_t>()[i];
    }
  }
  EXPECT_GE(equal, all - 4);
  // tests/golden/README.md: a weight moves by up to 0.090
  ASSERT_TRUE(summary.error.has_value());
  const auto error = summary.error.value_or(decltype(summary.error)::value_type{});
  EXPECT_GT(error.largest, 0.08);
  EXPECT_LT(error.largest, 0.1);
  EXPECT_GT(error.relative, 0.0);
  EXPECT_GT(error.change, 0.0);
}

TEST(MergeFolder, WhatWasNotQuantizedIsNotAfterwards) {
  const std::string base = output("skipped"), out = output("merged_skipped");
  const std::vector<std::string> skipped{"model.layers.1.mlp"};
  quantize_folder(golden("llama/a_fp32"), base, {StoredFormat::nf4, 64, false, skipped});
  MergeSettings settings = with({"qlora/adapter_nonzero"});
  settings.requantize = true;
  merge_folder(base, out, settings);
  const ModelFolder ours = ModelFolder::open(out);
  EXPECT_EQ(ours.tensors.info("model.layers.1.mlp.down_proj.weight").dtype, DType::f32);
  EXPECT_TRUE(is_stored_in_4bit(ours.tensors, "model.layers.0.mlp.down_proj.weight"));
  EXPECT_EQ(quantization_of(ours).value_or(BitsAndBytesConfig{}).skip_modules, skipped);
}

TEST(MergeFolder, SeveralAddUpWithTheirWeights) {
  MergeSettings both = with({"variants/multi/first", "variants/multi/third"});
  both.weights = {0.7, 0.4};
  const std::string at_once = output("both"), first = output("one"), second = output("two");
  merge_folder(golden("llama/a_fp32"), at_once, both);
  MergeSettings one = with({"variants/multi/first"}), two = with({"variants/multi/third"});
  one.weights = {0.7};
  two.weights = {0.4};
  merge_folder(golden("llama/a_fp32"), first, one);
  merge_folder(first, second, two);
  const ModelFolder a = ModelFolder::open(at_once), b = ModelFolder::open(second);
  for (const std::string& name : a.tensors.names()) {
    EXPECT_TRUE(same_bytes(a.tensors.tensor(name), b.tensors.tensor(name))) << name;
  }
}

TEST(MergeFolder, RefusesWhatDoesNotFit) {
  const std::string out = output("refused");
  const auto refused = [&](const std::string& base, const MergeSettings& s) {
    merge_folder(golden(base), out, s);
  };
  EXPECT_BAD_INPUT(refused("llama/b_fp32", with({"variants/rslora"})),
                   "the adapter was made for golden/llama/a_fp32");
  MergeSettings s = with({"variants/dora"});
  s.weights = {0.5};
  EXPECT_THROW(refused("llama/a_fp32", s), UsageError);
  s.weights = {1.0, 1.0};
  EXPECT_THROW(refused("llama/a_fp32", s), UsageError);
  s = with({"variants/rslora"});
  s.requantize = true;
  EXPECT_THROW(refused("llama/a_fp32", s), UsageError);
  EXPECT_FALSE(std::filesystem::exists(out));
  EXPECT_BAD_INPUT(
      merge_folder(golden("llama/a_fp32"), golden("llama/a_fp32"), with({"variants/rslora"})),
      "is the input itself");
  std::filesystem::create_directories(out);
  testing::write_text(out + "/notes.txt", "kept");
  EXPECT_BAD_INPUT(refused("llama/a_fp32", with({"variants/rslora"})), "will not be replaced");
}

}  // namespace
}  // namespace qlora
