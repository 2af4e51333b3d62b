// The GPU's 4-bit kernels against bitsandbytes' own: tests/golden/README.md, nf4/.
#include "cuda/twin.h"
#include "ops/quantization.h"
#include "quantization/golden_cases.h"
#include "quantization/golden_json.h"
#include "support/golden.h"
#include "support/matcher.h"

namespace qlora {
namespace {

using namespace testing;

Tensor restored_on_gpu(const QuantizedTensor& q, DType dtype) {
  const Tensor out = poisoned(dtype, q.shape);
  ops::dequantize_4bit(ops::on(Device::cuda, q), out);
  return ops::on(Device::cpu, out);
}

TEST(CudaGolden4bit, CodesAndMaximaOfAllCases) {
  SKIP_WITHOUT_GPU();
  const auto file = SafetensorsFile::open(golden("nf4/cases.safetensors"));
  const Json json = Json::read(golden("nf4/cases.json"));
  for (const Json& row : json.at("rows").as_array()) {
    const std::string input = row.at("case").as_string() + "." + row.at("input_dtype").as_string();
    const std::string type = row.at("quant_type").as_string();
    const std::int64_t blocksize = row.at("blocksize").as_integer();
    const std::string prefix = quantized_name(input, type, blocksize);
    SCOPED_TRACE(prefix);
    const Tensor x = file.tensor(input + ".input");
    const QuantizedTensor q =
        ops::on(Device::cpu, ops::quantize_4bit(to_gpu(x), quant_type_of(type), blocksize));
    EXPECT_TRUE(same_bytes(q.absmax, file.tensor(prefix + ".absmax")));
    // The reciprocal is IEEE's, not the approximate one of bitsandbytes' build.
    EXPECT_EQ(differing_codes(q, x, file.tensor(prefix + ".packed")),
              row.at("flush_code_mismatches").as_integer());
  }
}

TEST(CudaGolden4bit, DequantizedValuesOfAllCases) {
  SKIP_WITHOUT_GPU();
  const auto file = SafetensorsFile::open(golden("nf4/cases.safetensors"));
  int compared = 0;
  for (const TensorInfo& info : file.tensors()) {
    const std::size_t cut = info.name.find(".dequant_");
    if (cut == std::string::npos) continue;
    SCOPED_TRACE(info.name);
    const std::string prefix = info.name.substr(0, cut);
    const QuantType type =
        prefix.find(".nf4.") != std::string::npos ? QuantType::nf4 : QuantType::fp4;
    const std::int64_t blocksize = std::stoi(prefix.substr(prefix.find(".bs") + 3));
    const QuantizedTensor q =
        assembled(type, blocksize, info.dtype, info.shape, file.tensor(prefix + ".packed"),
                  file.tensor(prefix + ".absmax"));
    EXPECT_TRUE(same_bytes(restored_on_gpu(q, info.dtype), file.tensor(info.name)));
    ++compared;
  }
  EXPECT_EQ(compared, 360);
}

TEST(CudaGolden4bit, DoubleQuantizedValues) {
  SKIP_WITHOUT_GPU();
  const auto file = SafetensorsFile::open(golden("nf4/double_quant.safetensors"));
  const Json json = Json::read(golden("nf4/double_quant.json"));
  for (const Json& row : json.at("rows").as_array()) {
    const std::string prefix =
        row.at("case").as_string() + "." + row.at("input_dtype").as_string() + ".";
    SCOPED_TRACE(prefix);
    const Tensor x = file.tensor(prefix + "input");
    QuantizedTensor q = ops::on(
        Device::cpu, ops::quantize_4bit(to_gpu(x), quant_type_of(row.at("quant_type").as_string()),
                                        row.at("blocksize").as_integer(), true));
    EXPECT_TRUE(same_bytes(q.packed, file.tensor(prefix + "packed")));
    const float offset = file.tensor(prefix + "offset").data<float>()[0];
    // torch's sum of many maxima is one of several parts, each of them rounded.
    EXPECT_LE(ulps_between(q.offset, offset), q.blocks() > 256 ? 2 : 1);
    if (q.offset == offset) {
      EXPECT_TRUE(same_bytes(q.absmax, file.tensor(prefix + "absmax_q")));
      EXPECT_TRUE(same_bytes(q.nested_absmax, file.tensor(prefix + "nested_absmax")));
    }
    q.absmax = file.tensor(prefix + "absmax_q");
    q.nested_absmax = file.tensor(prefix + "nested_absmax");
    q.offset = offset;
    EXPECT_TRUE(same_bytes(restored_on_gpu(q, q.dtype), file.tensor(prefix + "dequant")));
  }
}

TEST(CudaGolden4bit, NonFiniteValues) {
  SKIP_WITHOUT_GPU();
  const auto file = SafetensorsFile::open(golden("nf4/nonfinite.safetensors"));
  for (const std::string name : {"nonfinite.nan", "nonfinite.inf", "nonfinite.neginf"}) {
    SCOPED_TRACE(name);
    const Tensor x = file.tensor(name + ".input");
    const QuantizedTensor q = ops::quantize_4bit(to_gpu(x), QuantType::nf4);
    EXPECT_TRUE(same_bytes(ops::on(Device::cpu, q.packed), file.tensor(name + ".packed")));
    EXPECT_TRUE(same_bytes(ops::on(Device::cpu, q.absmax), file.tensor(name + ".absmax")));
    const Tensor restored = restored_on_gpu(q, DType::f32);
    const Tensor expected = file.tensor(name + ".dequant");
    for (std::int64_t i = 0; i < x.numel(); ++i) {
      const float a = restored.data<float>()[i], e = expected.data<float>()[i];
      EXPECT_TRUE(std::isnan(e) ? std::isnan(a) : bits_of(a) == bits_of(e)) << i;
    }
  }
}

}  // namespace
}  // namespace qlora
