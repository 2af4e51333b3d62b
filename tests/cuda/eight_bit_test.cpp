// Tensors in 8 bits on the GPU beside the CPU: the same bits.
#include "cuda/twin.h"
#include "ops/quantization.h"
#include "quantization/fixtures.h"

namespace qlora {
namespace {

using namespace testing;

const std::vector<Shape> kShapes = sizes<Shape>(
    {{1, 1}, {3, 31}, {33, 257}, {5, 72}, {64, 4096}, {300, 3072}}, {{3, 31}, {33, 257}, {5, 72}});

TEST(CudaEightBit, RowsOfInt8AreTheirTwins) {
  SKIP_WITHOUT_GPU();
  std::uint64_t stream = 0;
  for (const DType dtype : kDeviceTypes) {
    for (const Shape& shape : kShapes) {
      SCOPED_TRACE(std::string(python_name(dtype)) + " " + to_string(shape));
      const Tensor x = random_tensor(dtype, shape, ++stream, 0.5f);
      const Int8Tensor theirs = qlora::quantize_int8(x);
      const Int8Tensor ours = ops::quantize_int8(to_gpu(x));
      EXPECT_TRUE(same_on_gpu(ours.codes, theirs.codes));
      EXPECT_TRUE(same_on_gpu(ours.absmax, theirs.absmax));
      for (const DType out : kDeviceTypes) {
        for (const std::int64_t padding : {0, 8, 5}) {
          const Shape padded{shape[0], shape[1] + padding};
          const Tensor values = Tensor::empty(out, padded);
          ops::fill_bytes(values, 0xff);
          ops::dequantize_int8(theirs, values);
          for (int run = 0; run < kRuns; ++run) {
            const Tensor our_values = poisoned(out, padded);
            ops::dequantize_int8(ours, our_values);
            EXPECT_TRUE(same_on_gpu(our_values, values)) << python_name(out) << " " << padding;
          }
        }
      }
    }
  }
}

TEST(CudaEightBit, RowsWithoutAScale) {
  SKIP_WITHOUT_GPU();
  // Zeros; a NaN; an infinity, which 70000 is in float16; ties, which go to the even integer.
  const Tensor x = Tensor::from<float>(
      Floats{0.0f, -0.0f, 1e-8f, 1.0f, NAN, -2.0f, 5.0f, 70000.0f, -5.0f, 254.0f, 1.0f, -3.0f},
      {4, 3});
  const Int8Tensor theirs = qlora::quantize_int8(x);
  const Int8Tensor ours = ops::quantize_int8(to_gpu(x));
  EXPECT_TRUE(same_on_gpu(ours.codes, theirs.codes));
  EXPECT_TRUE(same_on_gpu(ours.absmax, theirs.absmax));
}

TEST(CudaEightBit, BlocksAreTheirTwins) {
  SKIP_WITHOUT_GPU();
  std::uint64_t stream = 50;
  for (const DType dtype : kDeviceTypes) {
    for (const Shape& shape : kShapes) {
      for (const std::int64_t blocksize : {1, 3, 64, 256, 1000, 4096}) {
        if (blocksize < 64 && numel_of(shape) > 10000) continue;  // nothing new, and many blocks
        SCOPED_TRACE(std::string(python_name(dtype)) + " " + to_string(shape) + " blocks of " +
                     std::to_string(blocksize));
        const Tensor x = random_tensor(dtype, shape, ++stream);
        const Blockwise8Tensor theirs = qlora::quantize_blockwise8(x, blocksize);
        const Blockwise8Tensor ours = ops::quantize_blockwise8(to_gpu(x), blocksize);
        EXPECT_TRUE(same_on_gpu(ours.codes, theirs.codes));
        EXPECT_TRUE(same_on_gpu(ours.absmax, theirs.absmax));
        EXPECT_TRUE(same_on_gpu(ours.map, theirs.map));
        for (const DType out : kDeviceTypes) {
          const Tensor values = Tensor::empty(out, shape);
          ops::dequantize_blockwise8(theirs, values);
          for (int run = 0; run < kRuns; ++run) {
            const Tensor our_values = poisoned(out, shape);
            ops::dequantize_blockwise8(ours, our_values);
            EXPECT_TRUE(same_on_gpu(our_values, values)) << python_name(out);
          }
        }
      }
    }
  }
}

TEST(CudaEightBit, SpecialBlocksAndTies) {
  SKIP_WITHOUT_GPU();
  const Tensor map = qlora::quantize_blockwise8(Tensor::zeros(DType::f32, {1}), 1).map;
  Floats x{0.0f,      -0.0f, 1e-40f,     0.0f,   NAN,   1.0f,   0.0f,      3.0f,
           INFINITY,  1.0f,  -INFINITY,  NAN,    3.0f,  -3.0f,  0x1p-126f, 1e-39f,
           0x1p-126f, 0.0f,  -0x1p-127f, 1e-39f, 2e38f, -2e38f, 1.0f,      0.0f};
  for (int k = 0; k + 1 < 256; ++k) {
    const float middle = (map.data<float>()[k] + map.data<float>()[k + 1]) * 0.5f;
    x.insert(x.end(), {next_down(middle), middle, next_up(middle), 1.0f});
  }
  const Tensor values = Tensor::from<float>(x, {static_cast<std::int64_t>(x.size())});
  const Blockwise8Tensor theirs = qlora::quantize_blockwise8(values, 4);
  const Blockwise8Tensor ours = ops::quantize_blockwise8(to_gpu(values), 4);
  EXPECT_TRUE(same_on_gpu(ours.codes, theirs.codes));
  EXPECT_TRUE(same_on_gpu(ours.absmax, theirs.absmax));
  // Maxima at the edge of the subnormal numbers, every code under each.
  Blockwise8Tensor edges{256, Tensor::empty(DType::u8, {1024}),
                         Tensor::from<float>(Floats{0.0f, 0x1p-126f, 0x1p-110f, -1e-40f}, {4}),
                         map};
  for (int i = 0; i < 1024; ++i) edges.codes.data<std::uint8_t>()[i] = static_cast<std::uint8_t>(i);
  const Tensor restored = poisoned(DType::f32, {1024});
  ops::dequantize_blockwise8(ops::on(Device::cuda, edges), restored);
  EXPECT_TRUE(same_on_gpu(restored, qlora::dequantize_blockwise8(edges)));
}

}  // namespace
}  // namespace qlora
