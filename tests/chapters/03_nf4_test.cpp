// Chapter 3: each computed claim depends on its inputs, and what the concept rows name.
#include <gtest/gtest.h>

#include <functional>

#include "03_nf4/claims.h"
#include "chapters/chapter_claims.h"
#include "checkpoint/bitsandbytes.h"
#include "quantization/quantized_tensor.h"
#include "support/golden.h"

namespace qlora::chapter03 {
namespace {

using testing::golden;

constexpr testing::ChapterClaims<CourseInputs> kClaims{"03_nf4"};

TEST(Chapter03, AllClaimsHold) {
  const Ledger ledger = kClaims.ledger();
  EXPECT_NO_THROW(ledger.check());
  EXPECT_EQ(ledger.json().size(), 15u);
}

TEST(Chapter03, EachComputedValueComesFromTheInputs) {
  struct Change {
    const char* id;
    std::function<void(CourseInputs&)> change;
  };
  const Change changes[]{
      {"NF-01", [](CourseInputs& in) { in.codebook[3] = in.codebook[2]; }},
      {"NF-02", [](CourseInputs& in) { in.codebook[8] = 0.06f; }},
      {"NF-03", [](CourseInputs& in) { in.offset = 0.96; }},
      {"NF-05", [](CourseInputs& in) { in.llama.layers = 27; }},
      {"NF-08", [](CourseInputs& in) { in.t4_capability = 8.9; }},
      {"NF-12", [](CourseInputs& in) { in.gemma.vocabulary = 32000; }},
      {"NF-13", [](CourseInputs& in) { in.load_in_4bit = false; }},
      {"NF-15", [](CourseInputs& in) { in.bfloat16_capability = 7.0; }},
  };
  for (const Change& c : changes) {
    kClaims.expect_follow({c.id}, c.change);
    CourseInputs in;
    c.change(in);
    EXPECT_THROW(kClaims.ledger(in).check(), Error) << c.id;
  }
}

TEST(Chapter03, ComputeDtypeFollowsTheGpu) {
  EXPECT_EQ(compute_dtype(7.5, 8.0), "float16");   // T4
  EXPECT_EQ(compute_dtype(7.0, 8.0), "float16");   // V100
  EXPECT_EQ(compute_dtype(8.0, 8.0), "bfloat16");  // A100
  EXPECT_EQ(compute_dtype(8.9, 8.0), "bfloat16");  // L4
}

TEST(Chapter03, QuantTypeNf4IsBlocksOf64AbsmaxAndNearestOf16) {
  Json json = BitsAndBytesConfig{}.to_json();
  json["bnb_4bit_quant_type"] = "nf4";
  const auto config = BitsAndBytesConfig::from_json(json, "config.json");
  ASSERT_EQ(config.quant_type, QuantType::nf4);
  Tensor x = Tensor::empty(DType::f32, {2, 64});
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    x.data<float>()[i] = static_cast<float>((37 * i) % 129 - 64) / 100.0f;
  }
  const QuantizedTensor q = quantize_4bit(x, config.quant_type);
  EXPECT_EQ(q.blocksize, 64);
  EXPECT_EQ(q.packed.numel(), 64);  // two codes a byte
  ASSERT_EQ(q.absmax.numel(), 2);
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    const float value = x.data<float>()[i];
    const float absmax = q.absmax.data<float>()[i / 64];
    EXPECT_LE(std::abs(value), absmax);
    const int byte = q.packed.data<std::uint8_t>()[i / 2];
    const auto code = static_cast<std::size_t>(i % 2 == 0 ? byte >> 4 : byte & 15);
    const float error = std::abs(value / absmax - kNf4Code[code]);
    // no other value is nearer by more than the roundings of scaling
    for (const float other : kNf4Code) EXPECT_LE(error, std::abs(value / absmax - other) + 2e-7f);
  }
}

TEST(Chapter03, OnlyTheBaseIsQuantized) {
  const TensorFiles base = TensorFiles::open_folder(golden("llama_nf4/a"));
  const auto adapter = SafetensorsFile::open(golden("qlora/adapter_std/adapter_model.safetensors"));
  EXPECT_GT(adapter.tensors().size(), 0u);
  const std::string suffix = ".lora_A.weight";
  for (const TensorInfo& t : adapter.tensors()) {
    EXPECT_EQ(t.dtype, DType::f32) << t.name;
    // base_model.model.<module>.lora_A.weight stands beside <module>.weight
    const std::string module = t.name.substr(17, t.name.size() - 17 - suffix.size());
    EXPECT_TRUE(is_stored_in_4bit(base, module + ".weight")) << module;
  }
}

}  // namespace
}  // namespace qlora::chapter03
