#include "checkpoint/eight_bit.h"

#include <gtest/gtest.h>

#include <cmath>

#include "checkpoint/files.h"
#include "checkpoint/quantize_files.h"
#include "checkpoint/safetensors.h"
#include "core/random.h"
#include "quantization/dynamic_map.h"
#include "support/golden.h"
#include "support/matcher.h"

namespace qlora {
namespace {

using testing::bad_input;
using testing::golden;
using testing::same_bytes;
using testing::scratch;

Tensor normal(Shape shape, std::uint64_t seed) {
  const Tensor x = Tensor::empty(DType::f32, std::move(shape));
  const Random random{seed, 0};
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    x.data<float>()[i] = random.normal(static_cast<std::uint64_t>(i));
  }
  return x;
}

TEST(EightBit, ReadsAndWritesTheStateDictOfALayer) {
  const std::string path = golden("int8/linear8bit_state_dict.safetensors");
  const TensorFiles files(SafetensorsFile::open(path));
  ASSERT_TRUE(is_stored_in_int8(files, "weight"));
  const Int8Tensor stored = read_int8(files, "weight");
  const auto layer = SafetensorsFile::open(golden("int8/linear8bit.safetensors"));
  const Int8Tensor made = quantize_int8(layer.tensor("weight"));
  EXPECT_TRUE(same_bytes(made.codes, stored.codes));
  EXPECT_TRUE(same_bytes(made.absmax, stored.absmax));
  for (const auto& [name, tensor] : parts_of_int8("weight", made)) {
    EXPECT_TRUE(same_bytes(tensor, files.tensor(name))) << name;
  }
}

// The codes that differ where they must not. The kernel scales with an approximate reciprocal of
// absmax, two units in the last place wide, and so decides ties (x half of absmax) either way.
std::int64_t wrong_codes(const Tensor& found, const Tensor& expected, const Tensor& half,
                         const Tensor& absmax) {
  std::int64_t wrong = 0;
  for (std::int64_t i = 0; i < found.numel(); ++i) {
    if (found.data<std::int8_t>()[i] == expected.data<std::int8_t>()[i]) continue;
    const double x = half.data<float>()[i];
    const double scaled = 127.0 * std::abs(x) / absmax.data<float>()[i / half.dim(1)];
    const double from_tie = std::abs(scaled - std::floor(scaled) - 0.5);
    if (!(from_tie <= 2.0 * 0x1p-23 * scaled)) ++wrong;
  }
  return wrong;
}

// What is kept was saved in float16 there.
TEST(EightBit, AFolderIsTheOneThatBitsandbytesWrites) {
  const std::string out = (scratch() / "m").string();
  quantize_folder(golden("llama/a_fp32"), out, {StoredFormat::int8});
  const TensorFiles source = TensorFiles::open_folder(golden("llama/a_fp32"));
  const ModelFolder ours = ModelFolder::open(out);
  const ModelFolder theirs = ModelFolder::open(golden("llama_nf4/a_int8"));
  ASSERT_EQ(ours.tensors.names_with_prefix(""), theirs.tensors.names_with_prefix(""));
  for (const std::string& name : theirs.tensors.names()) {
    const Tensor expected = theirs.tensors.tensor(name);
    const Tensor found = ours.tensors.tensor(name);
    if (expected.dtype() == DType::i8) {
      const Tensor half = source.tensor(name).to(DType::f16).to(DType::f32);
      const Tensor absmax = read_int8(theirs.tensors, name).absmax;
      EXPECT_EQ(wrong_codes(found, expected, half, absmax), 0) << name;
      continue;
    }
    const bool kept = is_floating(expected.dtype()) && !name.ends_with(".SCB");
    EXPECT_TRUE(same_bytes(kept ? found.to(DType::f16) : found, expected)) << name;
  }
  EXPECT_EQ(ours.config.at("quantization_config").dump(2, true),
            theirs.config.at("quantization_config").dump(2, true));
}

TEST(EightBit, AFolderComesBackInItsDtype) {
  const std::string quantized = (scratch() / "q").string(), back = (scratch() / "r").string();
  quantize_folder(golden("llama/b_bf16"), quantized, {StoredFormat::int8});
  dequantize_folder(quantized, back);
  const ModelFolder a = ModelFolder::open(golden("llama/b_bf16")), b = ModelFolder::open(back);
  EXPECT_EQ(b.config.dump(2, true), a.config.dump(2, true));
  ASSERT_EQ(b.tensors.names_with_prefix(""), a.tensors.names_with_prefix(""));
  const std::string name = "model.layers.0.mlp.up_proj.weight";
  const Tensor before = a.tensors.tensor(name).to(DType::f32);
  const Tensor after = b.tensors.tensor(name);
  ASSERT_EQ(after.dtype(), DType::bf16);
  const Tensor values = after.to(DType::f32);
  for (std::int64_t r = 0; r < before.dim(0); ++r) {
    const float* x = before.data<float>() + r * before.dim(1);
    const float* y = values.data<float>() + r * before.dim(1);
    float absmax = 0;
    for (std::int64_t k = 0; k < before.dim(1); ++k) absmax = std::max(absmax, std::abs(x[k]));
    // Half a step of absmax / 127, and the roundings to float16 (2^-11) and bfloat16 (2^-8).
    const float bound = absmax * (0.5f / 127.0f + 0x1p-11f + 0x1p-8f);
    for (std::int64_t k = 0; k < before.dim(1); ++k) EXPECT_LE(std::abs(x[k] - y[k]), bound);
  }
}

TEST(EightBit, AFileInRowsOfInt8KeepsWhatIsNoMatrix) {
  const std::string in = (scratch() / "in.safetensors").string();
  const std::string out = (scratch() / "out.safetensors").string();
  const Tensor matrix = normal({5, 33}, 1), vector = normal({7}, 2);
  write_safetensors(in, {{"x", matrix}, {"m.weight", matrix}, {"v", vector}});
  const QuantizeSummary s = quantize_file(in, out, {StoredFormat::int8});
  EXPECT_EQ(s.converted, 2u);
  EXPECT_EQ(s.kept, 1u);
  EXPECT_EQ(TensorFiles(SafetensorsFile::open(out)).names_with_prefix(""),
            (std::vector<std::string>{"m.SCB", "m.weight", "m.weight_format", "v", "x", "x.SCB"}));
  dequantize_file(out, in);
  const auto back = SafetensorsFile::open(in);
  EXPECT_EQ(back.tensors().size(), 3u);
  const Int8Tensor q = quantize_int8(matrix);
  const Tensor expected = Tensor::empty(DType::f32, matrix.shape());
  dequantize_int8(q, expected.data<float>());
  EXPECT_TRUE(same_bytes(back.tensor("x"), expected.to(DType::f16)));
  EXPECT_TRUE(same_bytes(back.tensor("v"), vector));
}

TEST(EightBit, AFileInBlocksComesBackAtEveryBlockSize) {
  const std::string in = (scratch() / "in.safetensors").string();
  const std::string out = (scratch() / "out.safetensors").string();
  const auto case_file = SafetensorsFile::open(golden("int8/blockwise.safetensors"));
  const Tensor x = case_file.tensor("normal.f32.input");
  for (const std::int64_t blocksize : {32, 256, 4096}) {
    write_safetensors(in, {{"x", x}});
    quantize_file(in, out, {StoredFormat::blockwise8, blocksize});
    const TensorFiles files(SafetensorsFile::open(out));
    ASSERT_TRUE(is_stored_in_blockwise8(files, "x"));
    EXPECT_EQ(read_blockwise8(files, "x").blocksize, blocksize);
    dequantize_file(out, in);
    const Tensor back = SafetensorsFile::open(in).tensor("x");
    EXPECT_TRUE(same_bytes(back, dequantize_blockwise8(quantize_blockwise8(x, blocksize))));
    if (blocksize == 32) continue;
    const std::string bs = "normal.f32.bs" + std::to_string(blocksize);
    EXPECT_TRUE(same_bytes(files.tensor("x.absmax"), case_file.tensor(bs + ".absmax")));
    EXPECT_TRUE(same_bytes(back, case_file.tensor(bs + ".dequant")));
  }
}

TEST(EightBit, RefusesPartsThatDoNotFit) {
  const std::string path = (scratch() / "bad.safetensors").string();
  const Int8Tensor q = quantize_int8(normal({4, 8}, 3));
  const auto says = [&](const NamedTensors& tensors) {
    write_safetensors(path, tensors);
    return bad_input([&] { dequantize_file(path, (scratch() / "out.safetensors").string()); });
  };
  const Tensor three = Tensor::zeros(DType::f32, {3});
  EXPECT_NE(says({{"x", q.codes}, {"x.SCB", three}}).find("x.SCB: is F32 [3], expected F32 [4]"),
            std::string::npos);
  const Tensor one = Tensor::from<std::uint8_t>(std::vector<std::uint8_t>{1}, {});
  EXPECT_NE(says({{"m.weight", q.codes}, {"m.SCB", q.absmax}, {"m.weight_format", one}})
                .find("m.weight_format: is not 0"),
            std::string::npos);
  const Tensor codes = Tensor::zeros(DType::u8, {100});
  const Tensor map = Tensor::zeros(DType::f32, {256});
  EXPECT_NE(says({{"x", codes}, {"x.absmax", three}, {"x.quant_map", map}})
                .find("x.absmax: is F32 [3], expected F32 with one value for each block of x"),
            std::string::npos);
}

}  // namespace
}  // namespace qlora
