#include "checkpoint/bitsandbytes.h"

#include <gtest/gtest.h>

#include <limits>

#include "checkpoint/files.h"
#include "support/golden.h"
#include "support/matcher.h"

namespace qlora {
namespace {

using testing::all_tensors;
using testing::golden;
using testing::same_bytes;
using testing::scratch;

struct Folder {
  const char* name;
  const char* reference;  // dequant.model.layers.0.self_attn.k_proj
  const char* key;
  QuantType type;
  bool nested;
  DType dtype;
};
const std::vector<Folder> kFolders{
    {"llama_nf4/a", "llama_nf4/golden_a.safetensors", "dequant", QuantType::nf4, true, DType::f32},
    {"llama_nf4/a_bf16", "llama_nf4/golden_a_bf16.safetensors", "dequant", QuantType::nf4, true,
     DType::bf16},
    {"llama_nf4/b", "llama_nf4/golden_b.safetensors", "dequant", QuantType::nf4, true, DType::f32},
    {"llama_nf4/b_fp4_nodq", "llama_nf4/golden_b_fp4_nodq.safetensors", "dequant", QuantType::fp4,
     false, DType::f32},
    {"qlora/merged_nf4", "qlora/golden.safetensors", "merged_nf4.dequant", QuantType::nf4, true,
     DType::f32},
};
const std::string kModule = "model.layers.0.self_attn.k_proj";

TEST(BitsAndBytes, ReadsWhatSavePretrainedWrote) {
  for (const Folder& f : kFolders) {
    const ModelFolder folder = ModelFolder::open(golden(f.name));
    const QuantizedTensor q = read_4bit(folder.tensors, kModule + ".weight");
    EXPECT_EQ(q.type, f.type);
    EXPECT_EQ(q.nested(), f.nested);
    EXPECT_EQ(q.dtype, f.dtype);
    const SafetensorsFile reference = SafetensorsFile::open(golden(f.reference));
    const Tensor expected = reference.tensor(std::string(f.key) + "." + kModule);
    EXPECT_EQ(q.shape, expected.shape());
    EXPECT_TRUE(same_bytes(dequantize_4bit(q), expected)) << f.name;

    ASSERT_TRUE(quantization_of(folder).has_value()) << f.name;
    const BitsAndBytesConfig config = quantization_of(folder).value_or(BitsAndBytesConfig{});
    EXPECT_EQ(config.quant_type, f.type);
    EXPECT_EQ(config.use_double_quant, f.nested);
    EXPECT_EQ(config.compute_dtype, f.dtype);
    EXPECT_EQ(config.to_json().dump(2, true),
              folder.config.at("quantization_config").dump(2, true));
  }
}

TEST(BitsAndBytes, WritesTheSameFileAgain) {
  for (const Folder& f : kFolders) {
    const ModelFolder folder = ModelFolder::open(golden(f.name));
    NamedTensors out;
    for (const std::string& name : folder.tensors.names()) {
      if (is_stored_in_4bit(folder.tensors, name)) {
        for (auto& part : parts_of_4bit(name, read_4bit(folder.tensors, name))) {
          out.push_back(std::move(part));
        }
      } else if (name.find(".weight.") == std::string::npos) {
        out.emplace_back(name, folder.tensors.tensor(name));
      }
    }
    const std::string path = (scratch() / "model.safetensors").string();
    write_safetensors(path, out);
    EXPECT_TRUE(read_file(path) == read_file(golden(f.name) + std::string("/model.safetensors")))
        << f.name;
  }
}

// The parts of a small tensor of 130 elements (three blocks), to be spoiled one at a time.
NamedTensors parts(bool nested) {
  const Tensor x = Tensor::empty(DType::f32, {10, 13});
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    x.data<float>()[i] = static_cast<float>(i % 17) - 8.0f;
  }
  return parts_of_4bit("w", quantize_4bit(x, QuantType::nf4, 64, nested));
}

Tensor text(const std::string& s) {
  const std::span<const std::uint8_t> bytes(reinterpret_cast<const std::uint8_t*>(s.data()),
                                            s.size());
  return Tensor::from(bytes, {static_cast<std::int64_t>(s.size())});
}

std::string read_back(const NamedTensors& tensors, std::optional<Shape> shape = std::nullopt) {
  const std::string path = (scratch() / "f.safetensors").string();
  write_safetensors(path, tensors);
  const TensorFiles files(SafetensorsFile::open(path));
  return testing::bad_input([&] { read_4bit(files, "w", shape); });
}

NamedTensors with(NamedTensors tensors, const std::string& name, const Tensor& tensor) {
  for (auto& [key, value] : tensors) {
    if (key != name) continue;
    value = tensor;
    return tensors;
  }
  tensors.emplace_back(name, tensor);
  return tensors;
}

NamedTensors without(NamedTensors tensors, const std::string& name) {
  std::erase_if(tensors, [&](const auto& t) { return t.first == name; });
  return tensors;
}

const std::string kState = "w.quant_state.bitsandbytes__nf4";

TEST(BitsAndBytes, GoodPartsComeBack) {
  EXPECT_EQ(read_back(parts(false)), "");
  EXPECT_EQ(read_back(parts(true)), "");
  EXPECT_EQ(read_back(parts(true), Shape{10, 13}), "");
}

TEST(BitsAndBytes, RefusesMissingAndUnknownParts) {
  for (const bool nested : {false, true}) {
    for (const auto& part : parts(nested)) {
      const std::string said = read_back(without(parts(nested), part.first));
      EXPECT_NE(said.find(part.first), std::string::npos) << part.first << ": " << said;
      EXPECT_NE(said.find("f.safetensors"), std::string::npos) << said;
    }
  }
  const Tensor one = Tensor::zeros(DType::f32, {1});
  EXPECT_NE(read_back(with(parts(true), "w.extra", one)).find("w.extra: is not a part"),
            std::string::npos);
  EXPECT_NE(read_back(with(parts(false), "w.nested_quant_map", one)).find("w.nested_quant_map"),
            std::string::npos);
  EXPECT_NE(
      read_back(with(parts(true), "w.quant_state.bitsandbytes__fp4", text("{}"))).find("two types"),
      std::string::npos);
}

TEST(BitsAndBytes, RefusesPartsOfAnotherSize) {
  for (const bool nested : {false, true}) {
    for (const auto& [name, tensor] : parts(nested)) {
      if (name == kState) continue;
      for (const std::int64_t extra : {-1, 1}) {
        const Tensor other = Tensor::zeros(tensor.dtype(), {tensor.numel() + extra});
        const std::string said = read_back(with(parts(nested), name, other));
        EXPECT_NE(said.find(name + ": is "), std::string::npos) << name << ": " << said;
      }
      const DType dtype = tensor.dtype() == DType::f32 ? DType::i32 : DType::f16;
      const std::string said =
          read_back(with(parts(nested), name, Tensor::zeros(dtype, {tensor.numel()})));
      EXPECT_NE(said.find(name + ": is "), std::string::npos) << name << ": " << said;
    }
  }
}

TEST(BitsAndBytes, RefusesAMapOfAnotherType) {
  const Tensor fp4 = quantize_4bit(Tensor::zeros(DType::f32, {2}), QuantType::fp4).code;
  EXPECT_NE(read_back(with(parts(true), "w.quant_map", fp4)).find("w: QuantizedTensor requires"),
            std::string::npos);
}

TEST(BitsAndBytes, ReadsCodesOfAnotherStorageType) {
  // bnb_4bit_quant_storage = bfloat16: the same bytes, viewed two at a time.
  Tensor codes = parts(true).front().second;  // 65 bytes: make them even
  const Tensor x = Tensor::zeros(DType::f32, {128});
  NamedTensors even = parts_of_4bit("w", quantize_4bit(x, QuantType::nf4, 64, true));
  codes = even.front().second;
  const Tensor viewed =
      Tensor::view(DType::bf16, {32, 1}, codes.raw(), std::make_shared<Tensor>(codes));
  EXPECT_EQ(read_back(with(even, "w", viewed)), "");
}

TEST(BitsAndBytes, RefusesAQuantStateThatIsNotOne) {
  const std::string plain =
      R"({"quant_type": "nf4", "blocksize": 64, "dtype": "float32", "shape": [10, 13]})";
  EXPECT_EQ(read_back(with(parts(false), kState, text(plain))), "");
  const auto says = [&](const std::string& from, const std::string& to) {
    std::string changed = plain;
    changed.replace(changed.find(from), from.size(), to);
    return read_back(with(parts(false), kState, text(changed)));
  };
  const auto expect = [&](const std::string& from, const std::string& to, const char* said) {
    const std::string line = says(from, to);
    EXPECT_NE(line.find(said), std::string::npos) << to << ": \"" << line << '"';
  };
  expect("\"nf4\"", "\"fp4\"", "says quant_type \"fp4\"");
  expect("64", "0", "blocksize is 0");
  expect("64", "-64", "blocksize is -64");
  expect("64", "63", "blocksize is 63");
  expect("64", "8192", "blocksize is 8192");
  expect("64", "16", "blocksize is 16");
  expect("64", "9223372036854775807", "blocksize is 9223372036854775807");
  expect("64", "\"64\"", "blocksize: found");
  expect("64", "128", "w.absmax: is F32[3], expected F32[2]");
  expect("float32", "float64", "the dtype in its quant_state");
  expect("float32", "uint8", "the dtype in its quant_state");
  expect("float32", "torch.float32", "the dtype in its quant_state");
  expect("[10, 13]", "[10, 14]", "w: is U8[65, 1], expected 70 bytes");
  expect("[10, 13]", "[-10, -13]", "is not one of a tensor");
  expect("[10, 13]", "[4294967296, 4294967296]", "is not one of a tensor");
  expect("[10, 13]", "[9223372036854775807]", "expected 4611686018427387904 bytes");
  expect("[10, 13]", "[0, 9223372036854775807, 2]", "is not one of a tensor");
  expect("[10, 13]", "130", "shape: found");
  expect("[10, 13]", "null", "is null, and none is known");
  expect("}", ", \"more\": 1}", "unknown member \"more\"");
  expect("}", ", \"nested_offset\": 1.0}", "w.absmax: is F32[3], expected U8[3]");
  expect("}", "", "not valid JSON");
  EXPECT_EQ(
      read_back(with(parts(false), kState, text(plain.substr(0, plain.find("[10")) + "null}")),
                Shape{10, 13}),
      "");
  EXPECT_NE(read_back(parts(false), Shape{13, 10}).find("expected [13, 10]"), std::string::npos);
  EXPECT_NE(read_back(with(parts(false), kState, Tensor::zeros(DType::i8, {4}))).find("is I8[4]"),
            std::string::npos);
}

TEST(BitsAndBytes, RefusesANestedStateThatIsNotOne) {
  const QuantizedTensor q = [] {
    const Tensor x = Tensor::zeros(DType::f32, {10, 13});
    x.data<float>()[0] = 3.0f;
    return quantize_4bit(x, QuantType::nf4, 64, true);
  }();
  const NamedTensors good = parts_of_4bit("w", q);
  const std::string state = quant_state_text(q);
  EXPECT_EQ(state.substr(state.find("\"shape\"")),
            R"("shape": [10, 13], "nested_blocksize": 256, "nested_dtype": "float32", )"
            R"("nested_offset": 1.0})");
  const auto expect = [&](const std::string& from, const std::string& to, const char* said) {
    std::string changed = state;
    changed.replace(changed.find(from), from.size(), to);
    const std::string line = read_back(with(good, kState, text(changed)));
    EXPECT_NE(line.find(said), std::string::npos) << to << ": \"" << line << '"';
  };
  expect(", \"nested_offset\": 1.0", "", "\"nested_offset\" is missing");
  expect("\"nested_blocksize\": 256, ", "", "\"nested_blocksize\" is missing");
  expect("\"nested_dtype\": \"float32\", ", "", "\"nested_dtype\" is missing");
  expect("\"nested_dtype\": \"float32\"", "\"nested_dtype\": \"float16\"", "expected float32");
  expect("256", "0", "nested_blocksize is 0");
  expect("256", "2", "w.nested_absmax: is F32[1], expected F32[2]");
  expect("1.0", "1e300", "beyond float32");
  expect("1.0", "null", "nested_offset");
  expect("1.0", "\"1.0\"", "nested_offset: found");
}

TEST(BitsAndBytes, StateTextHasPythonsDigits) {
  QuantizedTensor q = quantize_4bit(Tensor::zeros(DType::bf16, {64}), QuantType::fp4, 64, true);
  // repr(float(numpy.float32(x))) in Python
  for (const auto& [offset, digits] : std::vector<std::pair<float, const char*>>{
           {0.2930506765842438f, "0.2930506765842438"},
           {0.0213f, "0.021299999207258224"},
           {1e-5f, "9.999999747378752e-06"},
           {0.0f, "0.0"},
           {0.5698318481445312f, "0.5698318481445312"},  // a shortest form that Grisu2 misses
           {1e20f, "1.0000000200408773e+20"},
           {3.0f, "3.0"}}) {
    q.offset = offset;
    EXPECT_EQ(quant_state_text(q),
              std::string(R"({"quant_type": "fp4", "blocksize": 64, "dtype": "bfloat16", )"
                          R"("shape": [64], "nested_blocksize": 256, "nested_dtype": "float32", )"
                          R"("nested_offset": )") +
                  digits + "}");
  }
}

}  // namespace
}  // namespace qlora
