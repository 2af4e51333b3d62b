#include "quantization/double_quantization.h"

#include "golden_cases.h"
#include "support/golden.h"
#include "support/matcher.h"

namespace qlora {
namespace {

using testing::Bytes;
using testing::Floats;
using testing::golden;
using testing::same_bytes;

// One case of tests/golden/nf4/double_quant, with its tensors.
struct Case {
  const Json& row;
  const SafetensorsFile& file;
  std::string prefix;

  Tensor tensor(const std::string& name) const { return file.tensor(prefix + name); }
  float offset() const { return tensor("offset").data<float>()[0]; }
  std::int64_t blocks() const { return row.at("blocks").as_integer(); }
  QuantizedTensor quantized(bool double_quant) const {
    return quantize_4bit(tensor("input"), testing::quant_type_of(row.at("quant_type").as_string()),
                         row.at("blocksize").as_integer(), double_quant);
  }
};

template <typename F>
void for_each_case(F&& f) {
  const auto file = SafetensorsFile::open(golden("nf4/double_quant.safetensors"));
  const Json json = Json::read(golden("nf4/double_quant.json"));
  ASSERT_EQ(json.at("rows").size(), 11u);
  for (const Json& row : json.at("rows").as_array()) {
    const std::string name = row.at("case").as_string() + "." + row.at("input_dtype").as_string();
    SCOPED_TRACE(name);
    f(Case{row, file, name + "."});
  }
}

TEST(DoubleQuantization, OffsetIsTheMeanOfTheMaxima) {
  for_each_case([](const Case& c) {
    const Tensor absmax = c.tensor("absmax");
    const float offset = absmax_offset(absmax.span<float>());
    // Both round twice, the sum and the product; torch's sum of many maxima is one of several
    // parts.
    EXPECT_LE(testing::ulps_between(offset, c.offset()), c.blocks() > 256 ? 2 : 1);
    const double exact = c.row.at("offset_exact_mean").as_number();
    EXPECT_LE(testing::ulps_between(offset, static_cast<float>(exact)), 1);
  });
}

TEST(DoubleQuantization, OffsetOfManyMaximaIsExact) {
  // Their sum is 2^17 · 0.1 in steps of 1/1024: a sum in float32 would have lost its last bits.
  Floats absmax(1u << 17);
  double sum = 0.0;
  for (std::size_t b = 0; b < absmax.size(); ++b) {
    absmax[b] = 0.1f + static_cast<float>(b % 13) / 1024.0f;
    sum += absmax[b];
  }
  const auto mean = static_cast<float>(sum / static_cast<double>(absmax.size()));
  EXPECT_LE(testing::ulps_between(absmax_offset(absmax), mean), 1);
}

TEST(DoubleQuantization, NestedCodesGivenTheOffset) {
  for_each_case([](const Case& c) {
    const Tensor absmax = c.tensor("absmax");
    Bytes codes(static_cast<std::size_t>(c.blocks()));
    const Tensor nested_absmax = c.tensor("nested_absmax");
    Floats nested(static_cast<std::size_t>(nested_absmax.numel()));
    quantize_absmax(absmax.span<float>(), c.offset(), create_dynamic_map(), 256, codes, nested);
    EXPECT_TRUE(same_bytes(Tensor::from<std::uint8_t>(codes, {c.blocks()}), c.tensor("absmax_q")));
    EXPECT_TRUE(same_bytes(Tensor::from<float>(nested, nested_absmax.shape()), nested_absmax));
  });
}

TEST(DoubleQuantization, RestoredMaximaInTwoRoundings) {
  for_each_case([](const Case& c) {
    const Tensor codes = c.tensor("absmax_q");
    const Tensor nested = c.tensor("nested_absmax");
    const Tensor map = c.file.tensor("nested_code");
    Floats restored(static_cast<std::size_t>(c.blocks()));
    restore_absmax(codes.span<std::uint8_t>(), map.span<float>(), nested.span<float>(), 256,
                   c.offset(), restored);
    const Tensor expected = c.tensor("absmax_dq");
    EXPECT_TRUE(same_bytes(Tensor::from<float>(restored, {c.blocks()}), expected));
    // The comparison can tell: a fused multiply-add changes this many of them.
    int fused = 0;
    for (std::size_t b = 0; b < restored.size(); ++b) {
      const float value = map.data<float>()[codes.data<std::uint8_t>()[b]];
      fused += std::fmaf(value, nested.data<float>()[b / 256], c.offset()) != restored[b] ? 1 : 0;
    }
    EXPECT_EQ(fused, c.row.at("fused_multiply_add_mismatches").as_integer());
  });
}

TEST(DoubleQuantization, DequantizedValues) {
  for_each_case([](const Case& c) {
    const Tensor expected = c.tensor("dequant");
    QuantizedTensor q = c.quantized(false);
    EXPECT_TRUE(same_bytes(q.packed, c.tensor("packed")));
    EXPECT_TRUE(same_bytes(q.absmax, c.tensor("absmax")));
    q.absmax = c.tensor("absmax_q");
    q.nested_absmax = c.tensor("nested_absmax");
    q.nested_code = c.file.tensor("nested_code");
    q.offset = c.offset();
    EXPECT_TRUE(same_bytes(restored_absmax(q), c.tensor("absmax_dq")));
    EXPECT_TRUE(same_bytes(dequantize_4bit(q), expected));
  });
}

TEST(DoubleQuantization, WholeTensorWhereTheOffsetIsTheSame) {
  int same = 0;
  for_each_case([&](const Case& c) {
    const QuantizedTensor q = c.quantized(true);
    EXPECT_TRUE(same_bytes(q.nested_code, c.file.tensor("nested_code")));
    if (q.offset != c.offset()) return;
    ++same;
    EXPECT_TRUE(same_bytes(q.absmax, c.tensor("absmax_q")));
    EXPECT_TRUE(same_bytes(q.nested_absmax, c.tensor("nested_absmax")));
    EXPECT_TRUE(same_bytes(dequantize_4bit(q), c.tensor("dequant")));
  });
  EXPECT_EQ(same, 10);  // but "fp4", whose sum torch rounds to the other side
}

TEST(DoubleQuantization, GeneratedVector) {
  // Listed by an independent emulation in numpy; the offset is the GPU's.
  const Tensor x = Tensor::from<float>(testing::lcg_values(19200), {19200});
  const QuantizedTensor q = quantize_4bit(x, QuantType::nf4, 64, true);
  EXPECT_EQ(q.offset, 0.08869322389364243f);
  const Bytes first(q.absmax.data<std::uint8_t>(), q.absmax.data<std::uint8_t>() + 16);
  EXPECT_EQ(first, (Bytes{3, 43, 209, 197, 26, 44, 241, 208, 57, 143, 48, 200, 149, 33, 209, 54}));
}

TEST(DoubleQuantization, ErrorOfARestoredMaximum) {
  Floats absmax = testing::normal_values(1000, 31, 0.01f);
  for (float& value : absmax) value = 0.1f + std::abs(value);
  const float offset = absmax_offset(absmax);
  Bytes codes(1000);
  Floats nested(4);
  Floats restored(1000);
  const DynamicMap map = create_dynamic_map();
  quantize_absmax(absmax, offset, map, 256, codes, nested);
  restore_absmax(codes, map, nested, 256, offset, restored);
  for (std::size_t b = 0; b < absmax.size(); ++b) {
    // half the widest gap of the map, 0.9/128, of the largest difference; and roundings at 0.14
    EXPECT_LE(std::abs(absmax[b] - restored[b]), nested[b / 256] * (0.9f / 128) + 3e-8f);
  }
}

TEST(DoubleQuantization, EachNestedBlockHasItsOwnScale) {
  Floats absmax = testing::normal_values(70, 33, 0.01f);
  for (std::size_t b = 0; b < absmax.size(); ++b) absmax[b] = 1.0f + std::abs(absmax[b]);
  absmax[35] = 9.0f;  // an outlier in the fourth nested block of ten
  const DynamicMap map = create_dynamic_map();
  const float offset = absmax_offset(absmax);
  Bytes codes(70);
  Floats nested(7, NAN);
  Floats restored(70);
  quantize_absmax(absmax, offset, map, 10, codes, nested);
  restore_absmax(codes, map, nested, 10, offset, restored);
  for (std::size_t g = 0; g < 7; ++g) {
    float largest = 0.0f;
    for (std::size_t b = 10 * g; b < 10 * g + 10; ++b) {
      largest = std::max(largest, std::abs(absmax[b] - offset));
    }
    EXPECT_EQ(nested[g], largest) << g;
    for (std::size_t b = 10 * g; b < 10 * g + 10; ++b) {
      // the code's own value, in two roundings; and the nearest of the map's
      EXPECT_EQ(restored[b], map[codes[b]] * nested[g] + offset) << b;
      const float scaled = (absmax[b] - offset) / nested[g];
      for (const float value : map) {
        EXPECT_LE(std::abs(scaled - map[codes[b]]), std::abs(scaled - value) + 1e-6f) << b;
      }
    }
  }
}

TEST(DoubleQuantization, EqualMaximaAreRestoredByTheOffsetAlone) {
  const Floats absmax(70, 0.37f);
  const float offset = absmax_offset(absmax);
  EXPECT_LE(testing::ulps_between(offset, 0.37f), 1);
  Bytes codes(70, 9);
  Floats nested(1, NAN);
  quantize_absmax(Floats(70, offset), offset, create_dynamic_map(), 256, codes, nested);
  EXPECT_EQ(codes, Bytes(70, 0));
  EXPECT_EQ(nested[0], 0.0f);
  Floats restored(70);
  restore_absmax(codes, create_dynamic_map(), nested, 256, offset, restored);
  EXPECT_EQ(restored, Floats(70, offset));
}

TEST(DoubleQuantization, EmptyAndSizesThatDoNotFit) {
  EXPECT_EQ(absmax_offset({}), 0.0f);
  const DynamicMap map = create_dynamic_map();
  quantize_absmax({}, 0.0f, map, 256, {}, {});
  Bytes codes(300);
  Floats one(1);
  EXPECT_THROW(quantize_absmax(Floats(300), 0.0f, map, 256, codes, one), std::invalid_argument);
}

}  // namespace
}  // namespace qlora
