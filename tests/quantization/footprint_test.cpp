#include "quantization/footprint.h"

#include "core/json.h"
#include "fixtures.h"
#include "support/golden.h"

namespace qlora {
namespace {

// Parameters of the model, and bytes as loaded in 4 bits beside 16-bit embeddings and norms.
std::int64_t parameters(const DecoderSizes& sizes) {
  return total_numel(linear_shapes(sizes)) + other_parameters(sizes);
}
std::int64_t loaded(const DecoderSizes& sizes) {
  return four_bit_bytes(linear_shapes(sizes)).packed + 2 * other_parameters(sizes);
}

TEST(Footprint, EqualsWhatTransformersReports) {
  const Json models = Json::read(testing::golden("memory/memory.json")).at("models");
  const std::vector<std::pair<std::string, DecoderSizes>> cases{{"1b", kLlama32_1b},
                                                                {"3b", kLlama32_3b}};
  for (const auto& [name, sizes] : cases) {
    SCOPED_TRACE(name);
    const Json& model = models.at(name);
    EXPECT_EQ(sizes.hidden, model.at("shape").at("d").as_integer());
    EXPECT_EQ(parameters(sizes), model.at("parameters").as_integer());
    EXPECT_EQ(loaded(sizes), model.at("nf4_bfloat16").at("without_buffers").as_integer());
    for (const bool double_quant : {false, true}) {
      const FourBitBytes bytes =
          four_bit_bytes(linear_shapes(sizes), {.double_quant = double_quant});
      const std::string key = double_quant ? "nf4dq_bfloat16" : "nf4_bfloat16";
      const double allocated = model.at(key).at("cuda_allocated").as_number();
      // The allocator keeps remainders of up to 1 MiB a tensor, below 1 % of these models.
      const double held = static_cast<double>(loaded(sizes) + bytes.constants());
      EXPECT_GT(allocated, held);
      EXPECT_NEAR(allocated, held, 0.01 * held);
    }
  }
}

TEST(Footprint, ModelsOfOtherShapes) {
  // Published parameter counts of Llama 3.1 8B (untied head) and Gemma 2B.
  EXPECT_EQ(parameters(kLlama31_8b), 8030261248);
  EXPECT_EQ(parameters(kGemma2b), 2506172416);
  EXPECT_EQ(total_numel(linear_shapes(kLlama32_3b)), 28 * std::int64_t{100663296});
  EXPECT_EQ(linear_shapes(kGemma2b).size(), 18u * 7);
  EXPECT_EQ(linear_shapes(kLlama32_3b)[1], (Shape{1024, 3072}));
  EXPECT_EQ(linear_shapes(kLlama32_3b)[6], (Shape{3072, 8192}));
}

TEST(Footprint, EqualsTheTensorsThatAreReallyMade) {
  for (const Shape& shape : {Shape{300, 70}, Shape{64}, Shape{3}, Shape{1000, 129}}) {
    for (const bool double_quant : {false, true}) {
      const Tensor x = Tensor::zeros(DType::f32, shape);
      const QuantizedTensor q = quantize_4bit(x, QuantType::nf4, 64, double_quant);
      const std::vector<Shape> shapes{shape};
      const FourBitBytes bytes = four_bit_bytes(shapes, {.double_quant = double_quant});
      EXPECT_EQ(bytes.weights, x.numel());
      EXPECT_EQ(bytes.packed, static_cast<std::int64_t>(q.packed.nbytes()));
      EXPECT_EQ(bytes.absmax, static_cast<std::int64_t>(q.absmax.nbytes()));
      EXPECT_EQ(bytes.nested_absmax, static_cast<std::int64_t>(q.nested_absmax.nbytes()));
    }
  }
}

TEST(Footprint, EachTensorHasItsOwnShortBlocks) {
  const std::vector<Shape> shapes{{65}, {65}};
  EXPECT_EQ(four_bit_bytes(shapes).blocks, 4);
  EXPECT_EQ(four_bit_bytes(shapes).packed, 66);
  const FourBitBytes bytes = four_bit_bytes(shapes, {64, true, 256});
  EXPECT_EQ(bytes.nested_blocks, 2);
  EXPECT_EQ(bytes.constants(), 4 + 2 * 4);
  EXPECT_EQ(bytes.bits_per_weight(), 8.0 * (66 + 12) / 130);
  EXPECT_EQ(four_bit_bytes({}).constants(), 0);
}

TEST(Footprint, BitsOfAWeight) {
  EXPECT_EQ(nominal_bits_per_weight({}), 4.5);
  EXPECT_EQ(nominal_bits_per_weight({64, true, 256}), 4.126953125);
  EXPECT_EQ(nominal_bits_per_weight({128, false, 256}), 4.25);
  EXPECT_EQ(nominal_bits_per_weight({32, true, 128}), 4.0 + 8.0 / 32 + 32.0 / (32 * 128));
  for (const BlockSizes& sizes : {BlockSizes{}, BlockSizes{64, true, 256}, BlockSizes{32, true}}) {
    const FourBitBytes bytes = four_bit_bytes(linear_shapes(kLlama32_3b), sizes);
    EXPECT_EQ(bytes.bits_per_weight(), nominal_bits_per_weight(sizes));  // no short blocks there
  }
}

TEST(Footprint, RefusesWhatIsNoBlock) {
  const std::vector<Shape> shapes{{64}};
  EXPECT_THROW(four_bit_bytes(shapes, {0}), std::invalid_argument);
  EXPECT_THROW(nominal_bits_per_weight({64, true, -1}), std::invalid_argument);
  const std::vector<Shape> many(4, Shape{std::int64_t{1} << 62});
  EXPECT_THROW(total_numel(many), std::overflow_error);
}

}  // namespace
}  // namespace qlora
