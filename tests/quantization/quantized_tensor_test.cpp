#include "quantization/quantized_tensor.h"

#include <functional>
#ifdef __SSE__
#include <xmmintrin.h>
#endif

#include "fixtures.h"
#include "quantization/double_quantization.h"
#include "quantization/nf4.h"
#include "support/matcher.h"

namespace qlora {
namespace {

using testing::Floats;
using testing::same_bytes;

Tensor normal_tensor(Shape shape, DType dtype = DType::f32) {
  const std::int64_t n = numel_of(shape);
  return Tensor::from<float>(testing::normal_values(static_cast<std::size_t>(n), 17, 0.02f),
                             std::move(shape))
      .to(dtype);
}

TEST(QuantizedTensor, HoldsTheSerializedLayout) {
  const Tensor x = normal_tensor({300, 70}, DType::bf16);
  const QuantizedTensor q = quantize_4bit(x, QuantType::nf4, 64, true);
  EXPECT_EQ(q.shape, (Shape{300, 70}));
  EXPECT_EQ(q.dtype, DType::bf16);
  EXPECT_EQ(q.packed.shape(), (Shape{10500, 1}));
  EXPECT_EQ(q.code.shape(), (Shape{16}));
  EXPECT_EQ(q.blocks(), 329);  // 21000 / 64 = 328.1
  EXPECT_EQ(q.absmax.shape(), (Shape{329}));
  EXPECT_EQ(q.absmax.dtype(), DType::u8);
  EXPECT_EQ(q.nested_absmax.shape(), (Shape{2}));
  EXPECT_EQ(q.nested_code.shape(), (Shape{256}));
  EXPECT_TRUE(q.nested());
  EXPECT_EQ(q.nbytes(), 10500u + 16 * 4 + 329 + 2 * 4 + 256 * 4);
  EXPECT_EQ(to_string(q.type), "nf4");
  EXPECT_EQ(to_string(QuantType::fp4), "fp4");
  EXPECT_NO_THROW(validate(q));
}

TEST(QuantizedTensor, FourAndAHalfBitsOrFourAndAnEighth) {
  const Tensor x = normal_tensor({1024, 512});
  const double n = 1024 * 512;
  const QuantizedTensor plain = quantize_4bit(x, QuantType::nf4);
  const QuantizedTensor nested = quantize_4bit(x, QuantType::nf4, 64, true);
  EXPECT_EQ(static_cast<double>(plain.packed.nbytes() + plain.absmax.nbytes()) * 8 / n, 4.5);
  EXPECT_EQ(static_cast<double>(nested.packed.nbytes() + nested.absmax.nbytes() +
                                nested.nested_absmax.nbytes()) *
                8 / n,
            4.126953125);
}

TEST(QuantizedTensor, Fp4MapHasAPlainZeroWhereTheKernelHasANegativeOne) {
  const QuantizedTensor q = quantize_4bit(normal_tensor({64}), QuantType::fp4);
  EXPECT_EQ(testing::bits_of(q.code.data<float>()[8]), 0u);
}

TEST(QuantizedTensor, ThreadsAndPiecesLeaveNoTrace) {
  // Longer than many pieces and a multiple of none; the units know nothing of pieces.
  const Tensor x = normal_tensor({1234577});
  for (const std::int64_t blocksize : {32, 64, 4096}) {
    const QuantizedTensor q = quantize_4bit(x, QuantType::nf4, blocksize);
    const auto r =
        testing::round_trip({quantize_nf4, dequantize_nf4},
                            Floats(x.data<float>(), x.data<float>() + x.numel()), blocksize);
    EXPECT_TRUE(same_bytes(q.packed, Tensor::from<std::uint8_t>(r.packed, q.packed.shape())));
    EXPECT_TRUE(same_bytes(q.absmax, Tensor::from<float>(r.absmax, {q.blocks()})));
    EXPECT_TRUE(same_bytes(dequantize_4bit(q), Tensor::from<float>(r.restored, x.shape())));
  }
}

TEST(QuantizedTensor, NestedBlocksAcrossThreadsEqualTheUnit) {
  const Tensor x = normal_tensor({2000003});
  const QuantizedTensor plain = quantize_4bit(x, QuantType::nf4);
  const QuantizedTensor q = quantize_4bit(x, QuantType::nf4, 64, true);
  const Tensor codes = Tensor::zeros(DType::u8, {q.blocks()});
  const Tensor nested = Tensor::zeros(DType::f32, q.nested_absmax.shape());
  quantize_absmax(plain.absmax.span<float>(), q.offset, q.nested_code.span<float>(), 256,
                  codes.span<std::uint8_t>(), nested.span<float>());
  EXPECT_TRUE(same_bytes(q.absmax, codes));
  EXPECT_TRUE(same_bytes(q.nested_absmax, nested));
  const Tensor restored = Tensor::zeros(DType::f32, {q.blocks()});
  restore_absmax(codes.span<std::uint8_t>(), q.nested_code.span<float>(), nested.span<float>(), 256,
                 q.offset, restored.span<float>());
  EXPECT_TRUE(same_bytes(restored_absmax(q), restored));
}

TEST(QuantizedTensor, SixteenBitInputsAreWidenedExactly) {
  for (const DType dtype : {DType::f16, DType::bf16, DType::f64}) {
    const Tensor x = normal_tensor({97, 101}, dtype);
    const QuantizedTensor q = quantize_4bit(x, QuantType::fp4);
    const QuantizedTensor wide = quantize_4bit(x.to(DType::f32), QuantType::fp4);
    EXPECT_TRUE(same_bytes(q.packed, wide.packed));
    EXPECT_TRUE(same_bytes(q.absmax, wide.absmax));
    EXPECT_EQ(q.dtype, dtype == DType::f64 ? DType::f32 : dtype);
    EXPECT_TRUE(same_bytes(dequantize_4bit(q), dequantize_4bit(wide).to(q.dtype)));
  }
}

TEST(QuantizedTensor, EmptyAndScalar) {
  for (const bool double_quant : {false, true}) {
    const QuantizedTensor none =
        quantize_4bit(Tensor::zeros(DType::f32, {0, 5}), QuantType::nf4, 64, double_quant);
    EXPECT_NO_THROW(validate(none));
    EXPECT_EQ(dequantize_4bit(none).shape(), (Shape{0, 5}));
    const Tensor scalar = Tensor::from<float>(Floats{-2.5f}, {});
    const QuantizedTensor one = quantize_4bit(scalar, QuantType::nf4, 64, double_quant);
    EXPECT_TRUE(same_bytes(dequantize_4bit(one), scalar));
  }
}

TEST(QuantizedTensor, RefusesWhatItCannotQuantize) {
  const Tensor x = normal_tensor({64});
  for (const std::int64_t blocksize : {0, -64, 16, 96, 8192}) {
    EXPECT_THROW(quantize_4bit(x, QuantType::nf4, blocksize), std::invalid_argument) << blocksize;
  }
  EXPECT_THROW(quantize_4bit(Tensor::zeros(DType::i32, {64}), QuantType::nf4),
               std::invalid_argument);
}

TEST(QuantizedTensor, ValidateNamesWhatDoesNotFit) {
  const QuantizedTensor good = quantize_4bit(normal_tensor({30, 65}), QuantType::nf4, 64, true);
  const auto expect_refused = [&](const char* what,
                                  const std::function<void(QuantizedTensor&)>& f) {
    QuantizedTensor q = good;
    f(q);
    try {
      validate(q);
      ADD_FAILURE() << "accepted another " << what;
    } catch (const std::invalid_argument& error) {
      EXPECT_NE(std::string(error.what()).find(what), std::string::npos) << error.what();
    }
    EXPECT_THROW(dequantize_4bit(q), std::exception);
  };
  const auto zeros = [](DType dtype, std::int64_t n) { return Tensor::zeros(dtype, {n}); };
  expect_refused("dtype", [](auto& q) { q.dtype = DType::i8; });
  expect_refused("blocksize", [](auto& q) { q.blocksize = 65; });
  expect_refused("shape", [](auto& q) { q.shape = {-30, -65}; });
  expect_refused("shape", [](auto& q) { q.shape = {1ll << 40, 1ll << 40}; });
  expect_refused("packed", [](auto& q) { q.shape = {30, 66}; });
  expect_refused("packed", [](auto& q) { q.packed = Tensor(); });
  expect_refused("packed", [&](auto& q) { q.packed = zeros(DType::i8, 975); });
  expect_refused("quant_map", [&](auto& q) { q.code = zeros(DType::f32, 15); });
  expect_refused("quant_map", [](auto& q) { q.type = QuantType::fp4; });
  expect_refused("quant_map",
                 [](auto& q) { q.code = q.code.clone(), q.code.template data<float>()[3] = NAN; });
  expect_refused("absmax", [&](auto& q) { q.absmax = zeros(DType::f32, 30); });
  expect_refused("absmax", [&](auto& q) { q.absmax = zeros(DType::f16, 31); });
  expect_refused("nested_blocksize", [](auto& q) { q.nested_blocksize = 0; });
  expect_refused("nested_absmax", [](auto& q) { q.nested_blocksize = 16; });
  expect_refused("nested_absmax", [](auto& q) { q.nested_absmax = Tensor(); });
  expect_refused("nested_quant_map", [&](auto& q) { q.nested_code = zeros(DType::f32, 16); });
}

TEST(QuantizedTensor, OtherNestedBlockSizes) {
  const QuantizedTensor plain = quantize_4bit(normal_tensor({640}), QuantType::nf4);
  QuantizedTensor q = quantize_4bit(normal_tensor({640}), QuantType::nf4, 64, true);
  for (const std::int64_t size : {std::int64_t{3}, std::int64_t{10}, INT64_MAX}) {
    q.nested_blocksize = size;
    q.nested_absmax = Tensor::zeros(DType::f32, {size == 3 ? 4 : 1});
    quantize_absmax(plain.absmax.span<float>(), q.offset, q.nested_code.span<float>(), size,
                    q.absmax.span<std::uint8_t>(), q.nested_absmax.span<float>());
    // each maximum within half a gap of the map, 0.9/128, of the largest difference (below 0.02)
    EXPECT_TRUE(testing::all_close(restored_absmax(q), plain.absmax, 0.02 * 0.9 / 128));
  }
}

#ifdef __SSE__
TEST(QuantizedTensor, FlushSwitchesOfTheProcessorChangeNothing) {
  Floats x;
  for (const float scale : {1e-40f, 1e-38f, 2e-38f, 1e-36f, 1e-30f, 1.0f}) {
    const Floats block = testing::normal_values(64, 23, scale);
    x.insert(x.end(), block.begin(), block.end());
  }
  x[325] = -1e-39f;
  x[330] = -0x1p-126f;
  const Tensor tensor = Tensor::from<float>(x, {static_cast<std::int64_t>(x.size())});
  const auto all = [&](QuantType type, bool double_quant) {
    const QuantizedTensor q = quantize_4bit(tensor, type, 64, double_quant);
    return std::vector<Tensor>{q.packed, q.absmax, restored_absmax(q), dequantize_4bit(q)};
  };
  for (const QuantType type : {QuantType::nf4, QuantType::fp4}) {
    for (const bool double_quant : {false, true}) {
      const std::vector<Tensor> expected = all(type, double_quant);
      const unsigned before = _mm_getcsr();
      _mm_setcsr(before | 0x8040u);  // flush to zero, denormals are zero
      const std::vector<Tensor> flushed = all(type, double_quant);
      _mm_setcsr(before);
      for (std::size_t i = 0; i < expected.size(); ++i) {
        EXPECT_TRUE(same_bytes(flushed[i], expected[i])) << i;
      }
    }
  }
}
#endif

}  // namespace
}  // namespace qlora
