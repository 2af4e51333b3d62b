#include "checkpoint/safetensors.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "checkpoint/files.h"
#include "core/json.h"
#include "support/golden.h"
#include "support/matcher.h"

namespace qlora {
namespace {

using testing::all_tensors;
using testing::as_bytes_of;
using testing::bad_input;
using testing::golden;
using testing::parse_text;
using testing::safetensors_bytes;
using testing::scratch;

const std::string kTwo = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                         R"("b":{"dtype":"U8","shape":[3],"data_offsets":[8,11]}})";

TEST(Safetensors, ReadsWhatTheHeaderSays) {
  const std::string bytes =
      safetensors_bytes(R"({"__metadata__":{"format":"pt"},)" + kTwo.substr(1),
                        std::string("\0\0\x80\x3f\0\0\0\xc0", 8) + "xyz");
  const SafetensorsFile file = parse_text(bytes);
  EXPECT_EQ(file.names(), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(file.metadata(), (SafetensorsMetadata{{"format", "pt"}}));
  EXPECT_EQ(file.dtype("a"), DType::f32);
  EXPECT_EQ(file.shape("b"), Shape{3});
  EXPECT_EQ(file.tensor("a").data<float>()[0], 1.0f);
  EXPECT_EQ(file.tensor("a").data<float>()[1], -2.0f);
  EXPECT_EQ(file.tensor("b").data<std::uint8_t>()[2], 'z');
  EXPECT_TRUE(file.has("a"));
  EXPECT_FALSE(file.has("c"));
  EXPECT_BAD_INPUT(file.tensor("c"), "f.safetensors: has no tensor \"c\"");
}

TEST(Safetensors, CopiesTensorsThatAreNotAligned) {
  // The library's writer sorts by alignment, but a reader must not count on it.
  for (int padding = 0; padding < 8; ++padding) {
    const std::string header = R"({"odd":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                               R"("x":{"dtype":"F64","shape":[1],"data_offsets":[1,9]}})" +
                               std::string(static_cast<std::size_t>(padding), ' ');
    const std::string bytes = safetensors_bytes(header, std::string("\x07\0\0\0\0\0\0\xf0\x3f", 9));
    const Tensor x = parse_text(bytes).tensor("x");
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(x.raw()) % 8, 0u);
    EXPECT_EQ(x.data<double>()[0], 1.0);
  }
}

TEST(Safetensors, AViewOutlivesTheFileObject) {
  const std::string path = (scratch() / "x.safetensors").string();
  const std::vector<float> values{1.0f, 2.0f, 3.0f};
  write_safetensors(path, {{"x", Tensor::from<float>(values, {3})}});
  Tensor x;
  {
    const SafetensorsFile file = SafetensorsFile::open(path);
    x = file.tensor("x");
  }
  std::filesystem::remove(path);
  EXPECT_EQ(x.data<float>()[2], 3.0f);
}

TEST(Safetensors, ReleasedPagesAreReadAgain) {
  const std::string path = (scratch() / "x.safetensors").string();
  const Tensor x = Tensor::empty(DType::i32, {100000});
  for (std::int32_t i = 0; i < 100000; ++i) x.data<std::int32_t>()[i] = i;
  write_safetensors(path, {{"x", x}, {"y", x}});
  const SafetensorsFile file = SafetensorsFile::open(path);
  const Tensor before = file.tensor("x").clone();
  file.release("x");
  EXPECT_TRUE(testing::same_bytes(file.tensor("x"), before));
  EXPECT_TRUE(testing::same_bytes(file.tensor("y"), before));
}

TEST(Safetensors, WritesTheBytesOfTheLibrary) {
  for (const char* file :
       {"llama/a_fp32/model.safetensors", "llama/a_bf16/model.safetensors",
        "llama/b_bf16/model-00002-of-00003.safetensors", "llama_nf4/a/model.safetensors",
        "llama_nf4/a_bf16/model.safetensors", "llama_nf4/b/model.safetensors",
        "llama_nf4/b_fp4_nodq/model.safetensors", "qlora/adapter_std/adapter_model.safetensors",
        "nf4/cases.safetensors"}) {
    const SafetensorsFile in = SafetensorsFile::open(golden(file));
    NamedTensors tensors = all_tensors(in);
    std::reverse(tensors.begin(), tensors.end());  // the writer has an order of its own
    const std::string out = (scratch() / "out.safetensors").string();
    write_safetensors(out, tensors, in.metadata());
    EXPECT_TRUE(read_file(out) == read_file(golden(file))) << file;
  }
}

TEST(Safetensors, SortsByDtypeThenName) {
  const std::string out = (scratch() / "out.safetensors").string();
  NamedTensors tensors;
  for (const DType dtype : {DType::boolean, DType::u8, DType::i8, DType::f16, DType::bf16,
                            DType::i32, DType::f32, DType::f64, DType::i64}) {
    const std::string name(python_name(dtype));
    tensors.emplace_back("layers.2." + name, Tensor::zeros(dtype, {1}));
    tensors.emplace_back("layers.10." + name, Tensor::zeros(dtype, {}));
    tensors.emplace_back("empty." + name, Tensor::zeros(dtype, {2, 0}));
  }
  write_safetensors(out, tensors);
  const SafetensorsFile file = SafetensorsFile::open(out);
  std::vector<std::string> expected;
  for (const char* name :
       {"int64", "float64", "float32", "int32", "bfloat16", "float16", "int8", "uint8", "bool"}) {
    for (const char* before : {"empty.", "layers.10.", "layers.2."}) {
      expected.push_back(before + std::string(name));
    }
  }
  EXPECT_EQ(file.names(), expected);
  EXPECT_EQ(file.shape("empty.bool"), (Shape{2, 0}));
  EXPECT_EQ(file.shape("layers.10.bool"), Shape{});
}

TEST(Safetensors, WriterRefusesWhatWasNotAnnounced) {
  const std::string path = (scratch() / "w.safetensors").string();
  const Tensor x = Tensor::zeros(DType::f32, {2});
  {
    SafetensorsWriter writer(path, {{"x", DType::f32, {2}}});
    EXPECT_THROW(writer.write("y", x), std::invalid_argument);
    EXPECT_THROW(writer.write("x", Tensor::zeros(DType::f32, {3})), std::invalid_argument);
    EXPECT_THROW(writer.write("x", Tensor::zeros(DType::i32, {2})), std::invalid_argument);
    EXPECT_THROW(writer.finish(), std::invalid_argument);
    writer.write("x", x);
    EXPECT_THROW(writer.write("x", x), std::invalid_argument);
  }
  EXPECT_TRUE(std::filesystem::is_empty(scratch())) << "an unfinished file is left";
  EXPECT_THROW(write_safetensors(path, {{"x", x}, {"x", x}}), std::invalid_argument);
  EXPECT_THROW(write_safetensors(path, {{"__metadata__", x}}), std::invalid_argument);
  EXPECT_BAD_INPUT(write_safetensors("/nowhere/w.safetensors", {{"x", x}}),
                   "/nowhere/w.safetensors: cannot be written");
}

TEST(Safetensors, AnOlderFileStaysUntilTheNewOneIsComplete) {
  const std::string path = (scratch() / "w.safetensors").string();
  const std::vector<float> values{7.0f};
  write_safetensors(path, {{"old", Tensor::from<float>(values, {1})}});
  {
    const SafetensorsWriter writer(path, {{"new", DType::f32, {1}}});
  }
  EXPECT_TRUE(SafetensorsFile::open(path).has("old"));
}

TEST(Safetensors, EscapesNames) {
  const std::string path = (scratch() / "w.safetensors").string();
  const std::string name = "a \"quoted\" \\ name\nwith \xc3\xa9";
  write_safetensors(path, {{name, Tensor::zeros(DType::u8, {1})}});
  EXPECT_EQ(SafetensorsFile::open(path).names(), std::vector<std::string>{name});
}

struct Malformed {
  const char* header;
  const char* data;
  const char* says;
};

TEST(Safetensors, RefusesMalformedHeaders) {
  const std::vector<Malformed> cases{
      {R"({"x":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}})", "z", "\"F8_E4M3\""},
      {R"({"x":{"dtype":"f32","shape":[1],"data_offsets":[0,4]}})", "abcd", "\"f32\""},
      {R"({"x":{"dtype":"U8","shape":[1],"data_offsets":[0,2]}})", "zz", "x: the data offsets"},
      {R"({"x":{"dtype":"U8","shape":[2],"data_offsets":[2,0]}})", "zz", "x: the data offsets"},
      {R"({"x":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}})", "z", "is negative"},
      {R"({"x":{"dtype":"U8","shape":[1],"data_offsets":[-1,0]}})", "z", "is negative"},
      {R"({"x":{"dtype":"U8","shape":[1],"data_offsets":[0]}})", "z", "not two"},
      {R"({"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1,2]}})", "z", "not two"},
      {R"({"x":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}})", "z", "x.shape[0]"},
      {R"({"x":{"dtype":"U8","shape":1,"data_offsets":[0,1]}})", "z", "x.shape"},
      {R"({"x":{"shape":[1],"data_offsets":[0,1]}})", "z", "\"dtype\" is missing"},
      {R"({"x":{"dtype":"U8","data_offsets":[0,1]}})", "z", "\"shape\" is missing"},
      {R"({"x":{"dtype":"U8","shape":[1]}})", "z", "\"data_offsets\" is missing"},
      {R"({"x":3})", "", "expected an object"},
      {R"([])", "", "expected an object"},
      {R"({"__metadata__":{"format":1}})", "", "__metadata__.format"},
      {R"({"__metadata__":[]})", "", "__metadata__"},
      {R"({"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
       R"("x":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
       "zz", "stands twice"},
      {R"({"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
       R"("y":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}})",
       "zzz", "y: starts at byte 2 of the data, expected 1"},
      {R"({"x":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},)"
       R"("y":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})",
       "zzz", "y: starts at byte 1 of the data, expected 2"},
      {R"({"x":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})", "zz", "expected 0"},
      {R"({"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", "zz", "holds 2 bytes"},
      {R"({"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", "", "holds 0 bytes"},
      {R"({})", "z", "holds 1 bytes"},
      // sizes that do not fit: elements, bytes, hidden behind a zero, beyond 63 bits
      {R"({"x":{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0]}})", "",
       "too large"},
      {R"({"x":{"dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,0]}})", "",
       "too large"},
      {R"({"x":{"dtype":"U8","shape":[0,4294967296,4294967296],"data_offsets":[0,0]}})", "",
       "too large"},
      {R"({"x":{"dtype":"U8","shape":[18446744073709551616],"data_offsets":[0,0]}})", "",
       "a whole number"},
      {R"({"x":{"dtype":"U8","shape":[1],"data_offsets":[0,18446744073709551615]}})", "z",
       "a whole number"},
  };
  for (const Malformed& c : cases) {
    EXPECT_BAD_INPUT(parse_text(safetensors_bytes(c.header, c.data)), c.says);
  }
}

TEST(Safetensors, RefusesAFileThatIsCutAnywhere) {
  const std::string whole = read_file(golden("llama_nf4/a/model.safetensors"));
  const auto header_end = static_cast<std::size_t>(8 + 15040);
  // Every length up to the data, then a sample of the data: one byte less, and thirds.
  std::vector<std::size_t> lengths{whole.size() - 1, whole.size() / 3, whole.size() * 2 / 3};
  for (std::size_t n = 0; n <= header_end; ++n) lengths.push_back(n);
  for (const std::size_t length : lengths) {
    EXPECT_BAD_INPUT(parse_text(whole.substr(0, length)), "f.safetensors: ");
  }
  EXPECT_BAD_INPUT(parse_text(whole + "z"), "bytes of data, the header describes");
}

TEST(Safetensors, AllocatesNothingOnALengthAlone) {
  for (const std::uint64_t length :
       {std::uint64_t{100'000'000}, std::uint64_t{100'000'001}, ~std::uint64_t{0},
        ~std::uint64_t{0} - 7, std::uint64_t{1} << 63}) {
    std::string bytes(8, '\0');
    std::memcpy(bytes.data(), &length, 8);
    EXPECT_BAD_INPUT(parse_text(bytes + "{}"), "byte 0: the header's length");
  }
}

TEST(Safetensors, RefusesFilesThatAreNotThere) {
  EXPECT_BAD_INPUT(SafetensorsFile::open("/nowhere/x.safetensors"), "/nowhere/x.safetensors");
  EXPECT_BAD_INPUT(SafetensorsFile::open(scratch().string()), "is not a regular file");
  const std::string empty = (scratch() / "empty.safetensors").string();
  testing::write_text(empty, "");
  EXPECT_BAD_INPUT(SafetensorsFile::open(empty), "too short");
}

std::string from_hex(const std::string& hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

TEST(Safetensors, AgreesWithTheLibrarysOwnCases) {
  SKIP_WITHOUT_ASSETS();
  const Json cases = Json::read(testing::assets() + "/formats/safetensors_cases.json");
  for (const Json& c : cases.at("cases").as_array()) {
    const std::string bytes = from_hex(c.at("hex").as_string());
    const std::string said = bad_input([&] { parse_text(bytes); });
    const bool good = c.at("expect").as_string() == "ok";
    EXPECT_EQ(said.empty(), good) << c.at("name").as_string() << ": " << said;
  }
}

}  // namespace
}  // namespace qlora
