// NF4 and FP4 against bitsandbytes' CUDA kernels: tests/golden/README.md, nf4/.
#include <cstring>

#include "golden_cases.h"
#include "golden_json.h"
#include "quantization/block_absmax.h"
#include "support/golden.h"
#include "support/matcher.h"

namespace qlora {
namespace {

using testing::Bytes;
using testing::bytes_of;
using testing::golden;
using testing::quantized_name;
using testing::same_bytes;

TEST(Golden4bit, CodesAndMaximaOfAllCases) {
  const auto file = SafetensorsFile::open(golden("nf4/cases.safetensors"));
  const Json json = Json::read(golden("nf4/cases.json"));
  for (const Json& row : json.at("rows").as_array()) {
    const std::string input = row.at("case").as_string() + "." + row.at("input_dtype").as_string();
    const std::string type = row.at("quant_type").as_string();
    const std::int64_t blocksize = row.at("blocksize").as_integer();
    const std::string prefix = quantized_name(input, type, blocksize);
    SCOPED_TRACE(prefix);
    const Tensor x = file.tensor(input + ".input");
    const QuantizedTensor q = quantize_4bit(x, testing::quant_type_of(type), blocksize);
    const Tensor packed = file.tensor(prefix + ".packed");
    EXPECT_EQ(q.packed.shape(), packed.shape());
    EXPECT_TRUE(same_bytes(q.absmax, file.tensor(prefix + ".absmax")));
    // An independent emulation with IEEE reciprocals and flushed subnormals was off in as many.
    EXPECT_EQ(testing::differing_codes(q, x, packed), row.at("flush_code_mismatches").as_integer());
    // The padding nibble of an odd tensor is part of the last byte.
    if (x.numel() % 2 == 1) {
      EXPECT_EQ(q.packed.data<std::uint8_t>()[packed.numel() - 1],
                packed.data<std::uint8_t>()[packed.numel() - 1]);
    }
  }
  EXPECT_EQ(json.at("rows").size(), 216u);
}

TEST(Golden4bit, DequantizedValuesOfAllCases) {
  const auto file = SafetensorsFile::open(golden("nf4/cases.safetensors"));
  int compared = 0;
  for (const TensorInfo& info : file.tensors()) {
    // <case>.<in>.<type>.bs<size>.dequant_<out>
    const std::size_t cut = info.name.find(".dequant_");
    if (cut == std::string::npos) continue;
    SCOPED_TRACE(info.name);
    const std::string prefix = info.name.substr(0, cut);
    const QuantType type =
        prefix.find(".nf4.") != std::string::npos ? QuantType::nf4 : QuantType::fp4;
    const std::int64_t blocksize = std::stoi(prefix.substr(prefix.find(".bs") + 3));
    const QuantizedTensor q =
        testing::assembled(type, blocksize, info.dtype, info.shape, file.tensor(prefix + ".packed"),
                           file.tensor(prefix + ".absmax"));
    const Tensor expected = file.tensor(info.name);
    const Tensor restored = dequantize_4bit(q);
    EXPECT_TRUE(same_bytes(restored, expected));
    Tensor widened = Tensor::zeros(DType::f32, info.shape);
    dequantize_4bit(q, widened.data<float>());
    EXPECT_TRUE(same_bytes(widened, expected.to(DType::f32)));
    ++compared;
  }
  EXPECT_EQ(compared, 360);
}

TEST(Golden4bit, NonFiniteValues) {
  const auto file = SafetensorsFile::open(golden("nf4/nonfinite.safetensors"));
  for (const std::string name : {"nonfinite.nan", "nonfinite.inf", "nonfinite.neginf"}) {
    SCOPED_TRACE(name);
    const Tensor x = file.tensor(name + ".input");
    const QuantizedTensor q = quantize_4bit(x, QuantType::nf4);
    EXPECT_TRUE(same_bytes(q.packed, file.tensor(name + ".packed")));
    EXPECT_TRUE(same_bytes(q.absmax, file.tensor(name + ".absmax")));
    const Tensor restored = dequantize_4bit(q);
    const Tensor expected = file.tensor(name + ".dequant");
    for (std::int64_t i = 0; i < x.numel(); ++i) {
      const float a = restored.data<float>()[i];
      const float e = expected.data<float>()[i];
      // which NaN it is differs between processors
      EXPECT_TRUE(std::isnan(e) ? std::isnan(a) : testing::bits_of(a) == testing::bits_of(e)) << i;
    }
  }
}

// bitsandbytes' CPU backend (backends/default/ops.py), as an oracle for what is different there:
// the thresholds are midpoints, a maximum is at least 1e-38 where it scales, the short last block
// is divided, and nothing is flushed. Codes of zero blocks are 7 instead of 0.
std::vector<int> cpu_backend_codes(std::span<const float> x) {
  std::vector<int> codes;
  for (std::size_t begin = 0; begin < x.size(); begin += 64) {
    const auto block = x.subspan(begin, std::min<std::size_t>(64, x.size() - begin));
    float absmax = 1e-38f;
    for (const float value : block) absmax = std::max(absmax, std::abs(value));
    for (const float value : block) {
      const float scaled = block.size() == 64 ? value * (1.0f / absmax) : value / absmax;
      int code = 0;
      for (std::size_t k = 0; k < 15; ++k) {
        code += scaled > (kNf4Code[k] + kNf4Code[k + 1]) / 2.0f ? 1 : 0;
      }
      codes.push_back(code);
    }
  }
  return codes;
}

TEST(Golden4bit, DiffersFromTheCpuBackendWhereThatDiffersFromTheKernel) {
  const auto file = SafetensorsFile::open(golden("nf4/cases.safetensors"));
  const Json backend = Json::read(golden("nf4/cpu_backend.json"));
  for (const auto& [name, expected] : backend.as_object()) {
    SCOPED_TRACE(name);
    const Tensor x = file.tensor(name + ".f32.input");
    const auto n = static_cast<std::size_t>(expected.at("n").as_integer());
    ASSERT_EQ(static_cast<std::size_t>(x.numel()), n);
    const std::vector<int> theirs = cpu_backend_codes(x.span<float>());
    const QuantizedTensor q = quantize_4bit(x, QuantType::nf4);
    const std::vector<int> ours = testing::unpacked(q.packed.span<std::uint8_t>(), n);
    int differing = 0;
    for (std::size_t i = 0; i < n; ++i) differing += ours[i] != theirs[i] ? 1 : 0;
    EXPECT_EQ(differing, expected.at("codes_that_differ").as_integer());
    const Bytes first = bytes_of(expected.at("first_bytes").as_string());
    for (std::size_t i = 0; i < std::min(n, 2 * first.size()); ++i) {
      EXPECT_EQ(theirs[i], testing::unpacked(first, 2 * first.size())[i]) << i;
    }
  }
}

}  // namespace
}  // namespace qlora
