// `quantize` and `dequantize` through the command line, against bitsandbytes' own bytes:
// tests/golden/README.md, nf4/.
#include <gtest/gtest.h>

#include <filesystem>
#include <tuple>

#include "checkpoint/bitsandbytes.h"
#include "quantization/golden_cases.h"
#include "support/golden.h"
#include "support/matcher.h"
#include "support/process.h"

namespace qlora {
namespace {

using testing::golden;
using testing::in_scratch;
using testing::same_bytes;
using testing::scratch;

// Whether ch03_nf4 with these arguments ends by itself, with this exit code.
::testing::AssertionResult ends(int code, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), QLORA_BIN "/ch03_nf4");
  const testing::Ended ended = testing::run_process(arguments, scratch().string(), 60);
  const bool by_itself = !ended.timed_out && ended.signal == 0;
  if (by_itself && ended.exit_code == code) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure()
         << "exit code " << ended.exit_code << ", signal " << ended.signal << ": " << ended.output;
}

// Every input tensor of the golden cases, under its own name.
void write_inputs(const SafetensorsFile& cases, const std::string& path) {
  NamedTensors inputs;
  for (const TensorInfo& t : cases.tensors()) {
    if (t.name.ends_with(".input")) inputs.emplace_back(t.name, cases.tensor(t.name));
  }
  EXPECT_EQ(inputs.size(), 36u);
  write_safetensors(path, inputs);
}

class QuantizeVerb : public ::testing::TestWithParam<std::tuple<std::string, std::int64_t>> {};

TEST_P(QuantizeVerb, GivesTheBytesOfBitsandbytesAndTheirValues) {
  const auto& [type, blocksize] = GetParam();
  const auto cases = SafetensorsFile::open(golden("nf4/cases.safetensors"));
  const Json rows = Json::read(golden("nf4/cases.json")).at("rows");
  const std::string input = in_scratch("input.safetensors");
  const std::string output = in_scratch("output.safetensors");
  const std::string restored = in_scratch("restored.safetensors");
  write_inputs(cases, input);
  ASSERT_TRUE(ends(0, {"quantize", "--input", input, "--output", output, "--type", type,
                       "--blocksize", std::to_string(blocksize)}));
  ASSERT_TRUE(ends(0, {"dequantize", "--input", output, "--output", restored}));

  const SafetensorsFile quantized = SafetensorsFile::open(output);
  const SafetensorsFile values = SafetensorsFile::open(restored);
  int compared = 0;
  for (const Json& row : rows.as_array()) {
    if (row.at("quant_type").as_string() != type || row.at("blocksize").as_integer() != blocksize) {
      continue;
    }
    const std::string dtype = row.at("input_dtype").as_string();
    const std::string name = row.at("case").as_string() + "." + dtype;
    const std::string prefix = testing::quantized_name(name, type, blocksize);
    std::string restored_name = prefix;
    restored_name.append(".dequant_").append(dtype);
    SCOPED_TRACE(prefix);
    const std::string tensor = name + ".input";
    EXPECT_TRUE(same_bytes(quantized.tensor(tensor + ".absmax"), cases.tensor(prefix + ".absmax")));
    // Equal codes, but for those within 2 units of a threshold: as many as the golden file counts
    // for IEEE arithmetic.
    const QuantizedTensor q = read_4bit(quantized, tensor);
    const int differing =
        testing::differing_codes(q, cases.tensor(tensor), cases.tensor(prefix + ".packed"));
    EXPECT_EQ(differing, row.at("flush_code_mismatches").as_integer());
    if (differing == 0) {
      EXPECT_TRUE(same_bytes(quantized.tensor(tensor), cases.tensor(prefix + ".packed")));
      EXPECT_TRUE(same_bytes(values.tensor(tensor), cases.tensor(restored_name)));
    }
    ++compared;
  }
  EXPECT_EQ(compared, 36);
}

INSTANTIATE_TEST_SUITE_P(Types, QuantizeVerb,
                         ::testing::Combine(::testing::Values("nf4", "fp4"),
                                            ::testing::Values(64, 128, 256)),
                         [](const auto& test) {
                           return std::get<0>(test.param) + "InBlocksOf" +
                                  std::to_string(std::get<1>(test.param));
                         });

TEST(DequantizeVerb, RoundsOnceToTheDtypeAskedFor) {
  const auto cases = SafetensorsFile::open(golden("nf4/cases.safetensors"));
  const std::string input = in_scratch("input.safetensors");
  const std::string output = in_scratch("output.safetensors");
  const std::string restored = in_scratch("restored.safetensors");
  const std::string name = "nonmult.f32";
  write_safetensors(input, {{"x", cases.tensor(name + ".input")}});
  ASSERT_TRUE(ends(0, {"quantize", "--input", input, "--output", output}));
  for (const auto& [dtype, short_name] :
       {std::pair{"float32", "f32"}, {"float16", "f16"}, {"bfloat16", "bf16"}}) {
    ASSERT_TRUE(ends(0, {"dequantize", "--input", output, "--output", restored, "--dtype", dtype}));
    EXPECT_TRUE(same_bytes(SafetensorsFile::open(restored).tensor("x"),
                           cases.tensor(name + ".nf4.bs64.dequant_" + short_name)));
  }
}

TEST(QuantizeVerbDoubleQuant, GivesTheNestedBytesWhereTheOffsetIsTheSame) {
  const auto file = SafetensorsFile::open(golden("nf4/double_quant.safetensors"));
  const std::string input = in_scratch("input.safetensors");
  const std::string output = in_scratch("output.safetensors");
  const std::string restored = in_scratch("restored.safetensors");
  int same = 0;
  int cases = 0;
  const Json rows = Json::read(golden("nf4/double_quant.json")).at("rows");
  for (const Json& row : rows.as_array()) {
    const std::string dtype = row.at("input_dtype").as_string();
    const std::string name = row.at("case").as_string() + "." + dtype;
    SCOPED_TRACE(name);
    write_safetensors(input, {{"x", file.tensor(name + ".input")}});
    ASSERT_TRUE(ends(0, {"quantize", "--double-quant", "--input", input, "--output", output,
                         "--type", row.at("quant_type").as_string(), "--blocksize",
                         std::to_string(row.at("blocksize").as_integer())}));
    ASSERT_TRUE(ends(0, {"dequantize", "--input", output, "--output", restored}));
    const SafetensorsFile quantized = SafetensorsFile::open(output);
    EXPECT_TRUE(same_bytes(quantized.tensor("x"), file.tensor(name + ".packed")));
    EXPECT_TRUE(same_bytes(quantized.tensor("x.nested_quant_map"), file.tensor("nested_code")));
    ++cases;
    // torch's own sum may leave its offset an ulp from the one here; the rest follows from it.
    if (read_4bit(quantized, "x").offset != file.tensor(name + ".offset").data<float>()[0])
      continue;
    ++same;
    EXPECT_TRUE(same_bytes(quantized.tensor("x.absmax"), file.tensor(name + ".absmax_q")));
    EXPECT_TRUE(
        same_bytes(quantized.tensor("x.nested_absmax"), file.tensor(name + ".nested_absmax")));
    EXPECT_TRUE(
        same_bytes(SafetensorsFile::open(restored).tensor("x"), file.tensor(name + ".dequant")));
  }
  EXPECT_EQ(cases, 11);
  EXPECT_EQ(same, 10);
}

TEST(QuantizeVerbErrors, BadInputAndBadOptionsEndWithTheirExitCodes) {
  const std::string out = in_scratch("out.safetensors");
  EXPECT_TRUE(ends(3, {"quantize", "--input", "/nowhere.safetensors", "--output", out}));
  EXPECT_TRUE(ends(2, {"quantize", "--output", out}));
  EXPECT_TRUE(ends(2, {"quantize", "--input", "a", "--output", "b", "--blocksize", "65"}));
  EXPECT_FALSE(std::filesystem::exists(out));
}

}  // namespace
}  // namespace qlora
