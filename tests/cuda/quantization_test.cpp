// Quantizing and restoring on the GPU beside the CPU: the same bits.
#include "ops/quantization.h"

#include <algorithm>
#include <cstring>

#include "cuda/twin.h"
#include "quantization/double_quantization.h"
#include "quantization/fixtures.h"
#include "quantization/fp4.h"
#include "quantization/nf4.h"

namespace qlora {
namespace {

using namespace testing;

// Odd ones, rows that are no multiple of a block or of an access, a real model's.
const std::vector<Shape> kShapes = sizes<Shape>(
    {{1, 1}, {3, 31}, {33, 257}, {5, 70}, {7, 72}, {64, 64}, {300, 3072}}, {{33, 257}, {64, 64}});
const std::vector<std::int64_t> kBlocksizes =
    sizes<std::int64_t>({32, 64, 256, 512, 4096}, {32, 64, 4096});
constexpr QuantType kTypes[]{QuantType::nf4, QuantType::fp4};

// On the host as it lies on the GPU.
Tensor fetched(const Tensor& tensor) {
  return ops::on(Device::cpu, tensor);
}

// Equal bytes of a device tensor and a host tensor; of floats, any NaN equals any other: which one
// it is differs between processors.
::testing::AssertionResult same_bits(const Tensor& ours, const Tensor& theirs) {
  const Tensor host = fetched(ours);
  if (host.shape() != theirs.shape() || host.dtype() != theirs.dtype()) {
    return ::testing::AssertionFailure() << "shapes or dtypes differ";
  }
  if (std::memcmp(host.raw(), theirs.raw(), host.nbytes()) == 0) {
    return ::testing::AssertionSuccess();
  }
  const bool floats = is_floating(host.dtype());
  const std::size_t size = size_of(host.dtype());
  for (std::int64_t i = 0; i < host.numel(); ++i) {
    const auto at = static_cast<std::size_t>(i) * size;
    const auto* a = static_cast<const char*>(host.raw()) + at;
    const auto* b = static_cast<const char*>(theirs.raw()) + at;
    if (std::memcmp(a, b, size) == 0) continue;
    if (floats) {
      const auto value = [&](const void* p) {
        Tensor one = Tensor::empty(host.dtype(), {1});
        std::memcpy(one.raw(), p, size);
        return one.to(DType::f32).data<float>()[0];
      };
      if (std::isnan(value(a)) && std::isnan(value(b))) continue;
      return ::testing::AssertionFailure() << "element " << i << " is " << value(a)
                                           << " on the GPU and " << value(b) << " on the CPU";
    }
    return ::testing::AssertionFailure() << "element " << i << " of " << to_string(host.shape());
  }
  return ::testing::AssertionSuccess();
}

// out (N, K + padding), every byte 0xff, on either side, after dequantizing into it.
::testing::AssertionResult restores_as_its_twin(const QuantizedTensor& q, DType dtype,
                                                std::int64_t padding) {
  const Shape shape{q.shape[0], q.shape[1] + padding};
  const Tensor theirs = Tensor::empty(dtype, shape);
  ops::fill_bytes(theirs, 0xff);
  ops::dequantize_4bit(q, theirs);
  const QuantizedTensor moved = ops::on(Device::cuda, q);
  Tensor first;
  for (int run = 0; run < kRuns; ++run) {
    const Tensor ours = poisoned(dtype, shape);
    ops::dequantize_4bit(moved, ours);
    if (const auto same = same_bits(ours, theirs); !same) return same;
    if (first && !same_on_gpu(first, ours)) return ::testing::AssertionFailure() << "another run";
    first = ours;
  }
  return ::testing::AssertionSuccess();
}

TEST(CudaQuantization, RestoredFourBitsAreTheirTwins) {
  SKIP_WITHOUT_GPU();
  std::uint64_t stream = 0;
  for (const QuantType type : kTypes) {
    for (const Shape& shape : kShapes) {
      for (const std::int64_t blocksize : kBlocksizes) {
        const Tensor x = random_tensor(DType::f32, shape, ++stream, 0.02f);
        for (const bool nested : {false, true}) {
          QuantizedTensor q = qlora::quantize_4bit(x, type, blocksize, nested);
          for (const DType stored : kDeviceTypes) {
            q.dtype = stored;
            for (const DType out : kDeviceTypes) {
              // Rows as they are, rows of whole accesses behind a padding, and such that are not.
              for (const std::int64_t padding : {0, 8, 5}) {
                EXPECT_TRUE(restores_as_its_twin(q, out, padding))
                    << to_string(type) << " " << to_string(shape) << " blocks of " << blocksize
                    << (nested ? ", nested, " : ", ") << python_name(stored) << " to "
                    << python_name(out) << ", padding " << padding;
              }
            }
          }
        }
      }
    }
  }
}

TEST(CudaQuantization, NestedBlocksOfAnySize) {
  SKIP_WITHOUT_GPU();
  const Tensor x = random_tensor(DType::f32, {129, 200}, 1);
  QuantizedTensor q = qlora::quantize_4bit(x, QuantType::nf4, 64, true);
  const Tensor absmax = restored_absmax(q);
  for (const std::int64_t size : {1, 3, 100, 255, 403, 404, 1 << 20}) {
    q.nested_blocksize = size;
    q.nested_absmax = Tensor::empty(DType::f32, {(q.blocks() + size - 1) / size});
    quantize_absmax(absmax.span<float>(), q.offset, q.nested_code.span<float>(), size,
                    q.absmax.span<std::uint8_t>(), q.nested_absmax.span<float>());
    EXPECT_TRUE(restores_as_its_twin(q, DType::f32, 0)) << size;
  }
}

// Every byte, under maxima at the edge of the subnormal numbers, and without a value.
TEST(CudaQuantization, MaximaWhoseProductsAreFlushed) {
  SKIP_WITHOUT_GPU();
  const Floats maxima{0.0f,      -0.0f,     1e-40f,      0x1p-126f,   next_up(0x1p-126f),
                      0x1p-125f, 0x1p-119f, 0x1p-118f,   3e38f,       INFINITY,
                      NAN,       -2.0f,     0x1.8p-126f, 0x1.7fp-125f};
  const auto blocks = static_cast<std::int64_t>(maxima.size());
  QuantizedTensor q;
  q.blocksize = 512;
  q.shape = {blocks, 512};
  q.packed = Tensor::empty(DType::u8, {blocks * 256, 1});
  for (std::int64_t i = 0; i < blocks * 256; ++i) {
    q.packed.data<std::uint8_t>()[i] = static_cast<std::uint8_t>(i);
  }
  q.absmax = Tensor::from<float>(maxima, {blocks});
  for (const QuantType type : kTypes) {
    q.type = type;
    q.code = qlora::quantize_4bit(Tensor::zeros(DType::f32, {1}), type).code;
    for (const DType out : kDeviceTypes) {
      EXPECT_TRUE(restores_as_its_twin(q, out, 0)) << to_string(type) << " " << python_name(out);
    }
  }
}

// x of any dtype and shape: codes and maxima are the CPU's. With double quantization the offset is
// rounded from a sum in double in another order: the same float, or the one beside it where the sum
// lies within rounding of the middle; codes and maxima are the CPU's for that offset.
void expect_quantized_as_twin(const Tensor& x, QuantType type, std::int64_t blocksize) {
  const QuantizedTensor theirs = qlora::quantize_4bit(x, type, blocksize);
  const Tensor on_gpu = to_gpu(x);
  const QuantizedTensor ours = ops::quantize_4bit(on_gpu, type, blocksize);
  EXPECT_TRUE(same_bits(ours.packed, theirs.packed));
  EXPECT_TRUE(same_bits(ours.absmax, theirs.absmax));
  EXPECT_TRUE(same_bits(ours.code, theirs.code));
  EXPECT_EQ(ours.dtype, x.dtype());

  const QuantizedTensor nested = ops::quantize_4bit(on_gpu, type, blocksize, true);
  const QuantizedTensor again = ops::quantize_4bit(on_gpu, type, blocksize, true);
  EXPECT_TRUE(same_bits(nested.packed, theirs.packed));
  const float offset = absmax_offset(theirs.absmax.span<float>());
  EXPECT_TRUE(std::isnan(offset) ? std::isnan(nested.offset)
                                 : ulps_between(nested.offset, offset) <= 1)
      << nested.offset << " and " << offset;
  QuantizedTensor expected = qlora::quantize_4bit(x, type, blocksize, true);
  quantize_absmax(theirs.absmax.span<float>(), nested.offset, expected.nested_code.span<float>(),
                  256, expected.absmax.span<std::uint8_t>(), expected.nested_absmax.span<float>());
  EXPECT_TRUE(same_bits(nested.absmax, expected.absmax));
  EXPECT_TRUE(same_bits(nested.nested_absmax, expected.nested_absmax));
  EXPECT_TRUE(same_bits(nested.nested_code, expected.nested_code));
  EXPECT_EQ(bits_of(again.offset), bits_of(nested.offset));
  EXPECT_TRUE(same_on_gpu(again.absmax, nested.absmax));
}

TEST(CudaQuantization, FourBitCodesAreTheirTwins) {
  SKIP_WITHOUT_GPU();
  std::uint64_t stream = 100;
  for (const DType dtype : kDeviceTypes) {
    for (const QuantType type : kTypes) {
      for (const Shape& shape : kShapes) {
        for (const std::int64_t blocksize : kBlocksizes) {
          SCOPED_TRACE(std::string(python_name(dtype)) + " " + std::string(to_string(type)) + " " +
                       to_string(shape) + " blocks of " + std::to_string(blocksize));
          expect_quantized_as_twin(random_tensor(dtype, shape, ++stream, 0.02f), type, blocksize);
        }
      }
    }
  }
}

// Blocks of 64 that begin with `values`, the rest zeros.
Tensor blocks_of_64(const std::vector<Floats>& blocks) {
  const Tensor x = Tensor::zeros(DType::f32, {static_cast<std::int64_t>(blocks.size()), 64});
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    std::ranges::copy(blocks[b], x.data<float>() + 64 * b);
  }
  return x;
}

TEST(CudaQuantization, SpecialBlocksAreTheirTwins) {
  SKIP_WITHOUT_GPU();
  std::vector<Floats> blocks{
      {0.0f, -0.0f},
      {1e-40f, -1e-40f},
      {NAN, -2.0f, 1.0f, 2.0f},
      {NAN, NAN},
      {2e38f, -2e38f, 1.0f},
      {0x1p-126f, -0x1p-126f, 0x1p-127f, -0x1p-127f},
      {-0x1p-126f, 2.0f},
      {-0x1p-126f, next_up(1.0f)},
      {-0x1.fffffep-126f, next_up(2.0f), -0x1.000002p-125f},
  };
  for (const float threshold : kNf4Thresholds) {
    blocks.push_back({next_down(threshold), threshold, next_up(threshold), 1.0f});
  }
  for (const float t : kFp4Thresholds) {
    blocks.push_back({next_down(t), t, next_up(t), next_down(-t), -t, next_up(-t), 1.0f});
  }
  std::vector<Floats> with_infinity = blocks;  // it makes the offset infinite
  with_infinity.push_back({INFINITY, -3.0f, 3.0f, -INFINITY});
  for (const QuantType type : kTypes) {
    for (const std::int64_t blocksize : {32, 64}) {
      expect_quantized_as_twin(blocks_of_64(blocks), type, blocksize);
      expect_quantized_as_twin(blocks_of_64(with_infinity), type, blocksize);
    }
  }
}

TEST(CudaQuantization, EmptyAndScalar) {
  SKIP_WITHOUT_GPU();
  for (const bool nested : {false, true}) {
    const QuantizedTensor none =
        ops::quantize_4bit(to_gpu(Tensor::zeros(DType::bf16, {0, 5})), QuantType::nf4, 64, nested);
    EXPECT_NO_THROW(validate(none));
    EXPECT_EQ(none.offset, 0.0f);
    EXPECT_NO_THROW(ops::dequantize_4bit(none, poisoned(DType::bf16, {0, 5})));
    const Tensor scalar = Tensor::from<float>(Floats{-2.5f}, {});
    const QuantizedTensor one = ops::quantize_4bit(to_gpu(scalar), QuantType::nf4, 64, nested);
    const Tensor out = poisoned(DType::f32, {});
    ops::dequantize_4bit(one, out);
    EXPECT_EQ(fetched(out).data<float>()[0], -2.5f);
  }
  EXPECT_THROW(ops::quantize_4bit(to_gpu(Tensor::zeros(DType::f32, {64})), QuantType::nf4, 96),
               std::invalid_argument);
}

// Every address that a view may begin at.
TEST(CudaQuantization, RowsOfAViewAreTheirTwins) {
  SKIP_WITHOUT_GPU();
  const Tensor x = random_tensor(DType::bf16, {9, 37}, 7);
  const Tensor on_gpu = to_gpu(x);
  for (std::int64_t row = 0; row < 8; ++row) {
    const QuantizedTensor ours = ops::quantize_4bit(on_gpu.rows(row, 9), QuantType::nf4, 64);
    const QuantizedTensor theirs = qlora::quantize_4bit(x.rows(row, 9), QuantType::nf4, 64);
    EXPECT_TRUE(same_bits(ours.packed, theirs.packed)) << row;
    EXPECT_TRUE(same_bits(ours.absmax, theirs.absmax)) << row;
    const Tensor out = poisoned(DType::bf16, {9, 37});
    ops::dequantize_4bit(ours, out.rows(row, 9));
    EXPECT_TRUE(same_bits(out.rows(row, 9), qlora::dequantize_4bit(theirs))) << row;
  }
}

}  // namespace
}  // namespace qlora
