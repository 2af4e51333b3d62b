#include "checkpoint/quantize_files.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <limits>

#include "checkpoint/files.h"
#include "core/random.h"
#include "support/golden.h"
#include "support/matcher.h"

namespace qlora {
namespace {

namespace fs = std::filesystem;
using testing::golden;
using testing::same_bytes;
using testing::scratch;
using testing::write_text;

const QuantizeSettings kDoubleQuantized{StoredFormat::nf4, 64, true};

// Units in the last place between two numbers of one sign.
std::int64_t ulps(float a, float b) {
  return std::abs(static_cast<std::int64_t>(std::bit_cast<std::int32_t>(a)) -
                  static_cast<std::int64_t>(std::bit_cast<std::int32_t>(b)));
}

// A folder that this code quantized, against the one that transformers and bitsandbytes quantized.
void expect_same_folder(const std::string& ours, const std::string& theirs) {
  const ModelFolder a = ModelFolder::open(ours);
  const ModelFolder b = ModelFolder::open(theirs);
  EXPECT_EQ(a.config.at("quantization_config").dump(2, true),
            b.config.at("quantization_config").dump(2, true));
  EXPECT_EQ(a.tensors.names(), b.tensors.names());
  for (const std::string& name : b.tensors.names()) {
    if (!is_stored_in_4bit(b.tensors, name)) {
      if (name.find(".weight.") == std::string::npos) {
        EXPECT_TRUE(same_bytes(a.tensors.tensor(name), b.tensors.tensor(name))) << name;
      }
      continue;
    }
    const QuantizedTensor p = read_4bit(a.tensors, name);
    const QuantizedTensor q = read_4bit(b.tensors, name);
    EXPECT_EQ(p.dtype, q.dtype);
    EXPECT_TRUE(same_bytes(p.packed, q.packed)) << name;
    EXPECT_TRUE(same_bytes(p.code, q.code)) << name;
    if (!q.nested()) {
      EXPECT_TRUE(same_bytes(p.absmax, q.absmax)) << name;
      continue;
    }
    // torch's mean on the GPU sums in another order: 2 ulp at most (nf4.md, measured 1).
    EXPECT_LE(ulps(p.offset, q.offset), 2) << name;
    EXPECT_TRUE(same_bytes(p.nested_code, q.nested_code)) << name;
    // Every maximum moves with the offset, by 2 ulp of it at most; no 8-bit code is near a tie.
    EXPECT_TRUE(testing::all_close(restored_absmax(p), restored_absmax(q), 1e-6, 1e-6)) << name;
  }
}

TEST(QuantizeFiles, GivesWhatBitsandbytesGives) {
  const std::string out = (scratch() / "m").string();
  quantize_folder(golden("llama/a_fp32"), out + "1", kDoubleQuantized);
  expect_same_folder(out + "1", golden("llama_nf4/a"));
  quantize_folder(golden("llama/a_bf16"), out + "2", kDoubleQuantized, DType::bf16);
  expect_same_folder(out + "2", golden("llama_nf4/a_bf16"));
  quantize_folder(golden("llama/b_fp32"), out + "3", kDoubleQuantized);
  expect_same_folder(out + "3", golden("llama_nf4/b"));
}

TEST(QuantizeFiles, FourBitsWithoutDoubleQuantizationAreTheSameFile) {
  const std::string out = (scratch() / "m").string();
  quantize_folder(golden("llama/b_fp32"), out, {StoredFormat::fp4, 64, false});
  const std::string theirs = golden("llama_nf4/b_fp4_nodq");
  EXPECT_TRUE(read_file(out + "/model.safetensors") == read_file(theirs + "/model.safetensors"));
  EXPECT_EQ(read_file(out + "/config.json"), read_file(theirs + "/config.json"));
  EXPECT_EQ(read_file(out + "/generation_config.json"),
            read_file(golden("llama/b_fp32") + std::string("/generation_config.json")));
}

TEST(QuantizeFiles, AFolderComesBack) {
  const std::string quantized = (scratch() / "q").string();
  const std::string restored = (scratch() / "r").string();
  const std::string source = golden("llama/b_bf16");  // three shards in, one file out
  const QuantizeSummary in = quantize_folder(source, quantized, kDoubleQuantized);
  EXPECT_EQ(in.converted, 14u);
  EXPECT_EQ(in.kept, 7u);
  const QuantizeSummary back = dequantize_folder(quantized, restored);
  EXPECT_EQ(back.converted, 14u);
  EXPECT_EQ(back.elements, in.elements);
  EXPECT_EQ(back.bytes_quantized, in.bytes_quantized);
  const ModelFolder a = ModelFolder::open(source);
  const ModelFolder b = ModelFolder::open(restored);
  EXPECT_EQ(b.config.dump(2, true), a.config.dump(2, true));
  ASSERT_EQ(b.tensors.names().size(), a.tensors.names().size());
  const TensorFiles q = TensorFiles::open_folder(quantized);
  for (const std::string& name : a.tensors.names()) {
    const Tensor expected =
        is_stored_in_4bit(q, name) ? dequantize_4bit(read_4bit(q, name)) : a.tensors.tensor(name);
    EXPECT_TRUE(same_bytes(b.tensors.tensor(name), expected)) << name;
  }
  dequantize_folder(quantized, restored + "32", DType::f32);
  const ModelFolder wide = ModelFolder::open(restored + "32");
  EXPECT_EQ(wide.config.at("dtype").as_string(), "float32");
  for (const std::string& name : wide.tensors.names()) {
    EXPECT_EQ(wide.tensors.info(name).dtype, DType::f32) << name;
  }
}

Tensor random_tensor(DType dtype, const Shape& shape, std::uint64_t stream) {
  const Tensor x = Tensor::empty(DType::f64, shape);
  const Random random{1, stream};
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    x.data<double>()[i] = random.normal(static_cast<std::uint64_t>(i));
  }
  return x.to(dtype);
}

// One of each dtype and of each awkward size.
NamedTensors mixed() {
  const std::vector<std::int32_t> ids{1, 2, 3};
  return {{"double", random_tensor(DType::f64, {33, 7}, 1)},
          {"single", random_tensor(DType::f32, {5, 1001}, 2)},
          {"half", random_tensor(DType::f16, {129}, 3)},
          {"brain", random_tensor(DType::bf16, {200, 300}, 4)},
          {"scalar", random_tensor(DType::f32, {}, 5)},
          {"empty", Tensor::zeros(DType::f32, {0, 64})},
          {"zero", Tensor::zeros(DType::f32, {100})},
          {"ids", Tensor::from<std::int32_t>(ids, {3})}};
}

TEST(QuantizeFiles, EveryDtypeAndSize) {
  const std::string source = (scratch() / "in.safetensors").string();
  const std::string out = (scratch() / "out.safetensors").string();
  const std::string restored = (scratch() / "restored.safetensors").string();
  write_safetensors(source, mixed(), {{"format", "pt"}, {"note", "kept"}});
  for (const StoredFormat format : {StoredFormat::nf4, StoredFormat::fp4}) {
    for (const std::int64_t blocksize : {32, 64, 128, 4096}) {
      for (const bool nested : {false, true}) {
        const QuantizeSummary s = quantize_file(source, out, {format, blocksize, nested});
        EXPECT_EQ(s.converted, 6u);
        EXPECT_EQ(s.kept, 2u);
        const SafetensorsFile file = SafetensorsFile::open(out);
        EXPECT_EQ(file.metadata().at("note"), "kept");
        std::size_t bytes = 0;
        for (const TensorInfo& t : file.tensors()) bytes += t.nbytes();
        EXPECT_EQ(s.bytes_written, bytes);
        dequantize_file(out, restored);
        const SafetensorsFile back = SafetensorsFile::open(restored);
        for (const auto& [name, x] : mixed()) {
          if (name == "empty" || name == "ids") {
            EXPECT_TRUE(same_bytes(back.tensor(name), x)) << name;
            continue;
          }
          const QuantizedTensor q =
              quantize_4bit(x, QuantizeSettings{format}.type(), blocksize, nested);
          EXPECT_TRUE(same_bytes(back.tensor(name), dequantize_4bit(q))) << name;
        }
        EXPECT_EQ(back.tensors().size(), mixed().size());
      }
    }
  }
}

TEST(QuantizeFiles, TheDtypeAskedForTakesTheRecordedOnesPlace) {
  const std::string source = (scratch() / "in.safetensors").string();
  const std::string out = (scratch() / "out.safetensors").string();
  const Tensor x = random_tensor(DType::bf16, {64, 64}, 1);
  write_safetensors(source, {{"x", x}});
  quantize_file(source, out, {});
  dequantize_file(out, source, DType::f32);
  QuantizedTensor q = quantize_4bit(x, QuantType::nf4);
  q.dtype = DType::f32;  // one rounding, not one to bfloat16 before it
  EXPECT_TRUE(same_bytes(SafetensorsFile::open(source).tensor("x"), dequantize_4bit(q)));
}

TEST(QuantizeFiles, ReportsAllBytesOnce) {
  const std::string source = (scratch() / "in.safetensors").string();
  write_safetensors(source, mixed());
  for (const bool nested : {false, true}) {
    std::size_t last = 0;
    std::size_t all = 0;
    quantize_file(source, (scratch() / "out.safetensors").string(), {StoredFormat::nf4, 64, nested},
                  [&](std::size_t done, std::size_t total, const std::string&) {
                    EXPECT_GE(done, last);
                    last = done;
                    all = total;
                  });
    EXPECT_EQ(last, all);
    EXPECT_GT(all, 0u);
  }
}

TEST(QuantizeFiles, RefusesWhatCannotBeConverted) {
  const std::string source = (scratch() / "in.safetensors").string();
  const std::string out = (scratch() / "out.safetensors").string();
  write_safetensors(source, {{"x", random_tensor(DType::f32, {64}, 1)}});
  EXPECT_BAD_INPUT(dequantize_file(source, out), "holds no quantized tensor");
  quantize_file(source, out, {});
  EXPECT_BAD_INPUT(quantize_file(out, source, {}), "x: is quantized already");
  EXPECT_TRUE(SafetensorsFile::open(source).tensors().size() == 1) << "the source was written to";

  const Tensor x = random_tensor(DType::f32, {64}, 1);
  write_safetensors(source, {{"x", x}, {"x.absmax", Tensor::zeros(DType::u8, {1})}});
  EXPECT_BAD_INPUT(quantize_file(source, out, {}), "x.absmax: would stand twice");

  x.data<float>()[3] = std::numeric_limits<float>::infinity();
  write_safetensors(source, {{"x", x}});
  fs::remove(out);
  EXPECT_BAD_INPUT(quantize_file(source, out, kDoubleQuantized), "x: holds infinite values");
  EXPECT_FALSE(fs::exists(out));
  EXPECT_NO_THROW(quantize_file(source, out, {}));
  EXPECT_BAD_INPUT(quantize_file("/nowhere/x", out, {}), "/nowhere/x");
  EXPECT_BAD_INPUT(quantize_file(source, "/nowhere/x", {}), "/nowhere/x: cannot be written");
}

TEST(QuantizeFiles, FoldersAreNotReplacedByMistake) {
  const std::string source = golden("llama/a_bf16");
  const std::string out = (scratch() / "precious").string();
  fs::create_directories(out);
  EXPECT_NO_THROW(quantize_folder(source, out, {}));                             // an empty folder
  EXPECT_BAD_INPUT(quantize_folder(source, out, {}), "precious: is not empty");  // a model
  fs::remove(out + "/config.json");
  EXPECT_BAD_INPUT(quantize_folder(source, out, {}), "precious: is not empty");
  EXPECT_BAD_INPUT(quantize_folder(source, source + "/../a_bf16", {}), "is the input itself");
  EXPECT_BAD_INPUT(dequantize_folder(source, (scratch() / "x").string()), "is not quantized");
  EXPECT_BAD_INPUT(quantize_folder(golden("llama_nf4/a"), (scratch() / "x").string(), {}),
                   "quantized already");
  EXPECT_FALSE(fs::exists(scratch() / "x"));
  EXPECT_FALSE(fs::exists(scratch() / "x.unfinished"));
}

TEST(QuantizeFiles, NothingIsLeftOfAFolderWhoseWeightsAreBroken) {
  const std::string source = (scratch() / "in").string();
  const std::string out = (scratch() / "out").string();
  quantize_folder(golden("llama/a_bf16"), source, kDoubleQuantized);
  const std::string file = source + "/model.safetensors";
  std::string bytes = read_file(file);
  const std::size_t at = bytes.rfind("\"nested_offset\"");  // of the last tensor in the file
  bytes.replace(at, 15, "\"nested_0ffset\"");
  write_text(file, bytes);
  EXPECT_BAD_INPUT(dequantize_folder(source, out), "\"nested_offset\" is missing");
  EXPECT_FALSE(fs::exists(out));
  EXPECT_FALSE(fs::exists(out + ".unfinished"));
}

}  // namespace
}  // namespace qlora
