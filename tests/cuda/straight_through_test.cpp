// Fake quantization on the GPU: the bits of the CPU, and a group of linear layers that trains.
#include <cmath>

#include "cuda/linear_twins.h"
#include "ops/ops.h"
#include "support/matcher.h"

namespace qlora {
namespace {

using namespace testing;

struct Case {
  Shape shape;
  FakeFormat format;
};

// Blocks that a warp holds and ones that a block of threads does, short last ones, odd rows.
const std::vector<Case> kCases{{{1, 1}, {FakeLevels::nf4}},
                               {{33, 31}, {FakeLevels::nf4}},
                               {{64, 192}, {FakeLevels::nf4, 4, 64, 0.8}},
                               {{7, 257}, {FakeLevels::integers, 4, kRangePerRow}},
                               {{5, 4099}, {FakeLevels::integers, 8, kRangePerRow}},
                               {{33, 321}, {FakeLevels::integers, 2, kRangePerTensor}},
                               {{70, 96}, {FakeLevels::integers, 3, 100, 0.6}},
                               {{3, 5000}, {FakeLevels::nf4, 4, 6000, 0.9}}};

std::string name_of(const Case& c, DType dtype) {
  return to_string(c.shape) + " " + std::string(python_name(dtype));
}

// Normal numbers, and a block of zeros.
Tensor weight_of(const Case& c, DType dtype) {
  const Tensor w = random_tensor(DType::f32, c.shape, 1, 0.05f);
  if (w.numel() > 300) std::fill_n(w.data<float>() + 128, 70, 0.0f);
  return w.to(dtype);
}

// Every operation is one rounding in float32 on both, in the same order; in 16 bits the value is
// rounded once more: the bits are equal.
TEST(CudaStraightThrough, ValuesHaveTheCpusBits) {
  SKIP_WITHOUT_GPU();
  for (const DType dtype : kDeviceTypes) {
    for (const Case& c : kCases) {
      const Tensor w = weight_of(c, dtype), expected = Tensor::empty(DType::f32, c.shape);
      ops::fake_quantize(c.format, widened(w), expected);
      for (int run = 0; run < kRuns; ++run) {
        const Tensor w_q = poisoned(dtype, c.shape);
        ops::fake_quantize(c.format, to_gpu(w), w_q);
        EXPECT_TRUE(same_bytes(to_host(w_q), expected.to(dtype).to(DType::f32)))
            << name_of(c, dtype);
      }
    }
  }
}

TEST(CudaStraightThrough, GradientsHaveTheCpusBits) {
  SKIP_WITHOUT_GPU();
  for (const DType dtype : kDeviceTypes) {
    for (const Case& c : kCases) {
      const Tensor w = weight_of(c, dtype), dw_q = random_tensor(DType::f32, c.shape, 2),
                   before = random_tensor(DType::f32, c.shape, 3), expected = before.clone();
      ops::fake_quantize_backward(c.format, widened(w), dw_q, expected);
      for (int run = 0; run < kRuns; ++run) {
        const Tensor dw = to_gpu(before);
        ops::fake_quantize_backward(c.format, to_gpu(w), to_gpu(dw_q), dw);
        EXPECT_TRUE(same_bytes(to_host(dw), expected)) << name_of(c, dtype);
      }
    }
  }
}

TEST(CudaStraightThrough, AGroupTrainsAsItsTwin) {
  SKIP_WITHOUT_GPU();
  constexpr std::int64_t kTokens = 33, kK = 96, kN = 64;
  for (const FakeFormat& format :
       {FakeFormat{FakeLevels::nf4}, FakeFormat{FakeLevels::integers, 3, kRangePerRow, 0.7}}) {
    LinearGroup host, device;
    host.K = device.K = kK;
    host.weight = random_tensor(DType::f32, {kN, kK}, 1, 0.05f);
    host.grad_weight = random_tensor(DType::f32, {kN, kK}, 2);
    device.weight = to_gpu(host.weight);
    device.grad_weight = to_gpu(host.grad_weight);
    for (const std::int64_t N : {kN - 31, std::int64_t{31}}) {
      Projection part;
      part.N = N;
      if (N == 31) part.fake = format;
      host.parts.push_back(part);
      device.parts.push_back(part);
    }
    const Tensor x = random_tensor(DType::f32, {kTokens, kK}, 3),
                 dy = random_tensor(DType::f32, {kTokens, kN}, 4);
    Arena arena, device_arena = ops::arena_on(Device::cuda);
    const Tensor y = Tensor::empty(DType::f32, {kTokens, kN}),
                 dx = Tensor::empty(DType::f32, {kTokens, kK});
    ops::linear_forward(host, x, {}, {}, arena, y, nullptr);
    ops::linear_backward(host, x, {}, {}, dy, arena, dx);
    const Tensor our_y = poisoned(DType::f32, y.shape()), our_dx = poisoned(DType::f32, dx.shape());
    ops::linear_forward(device, to_gpu(x), {}, {}, device_arena, our_y, nullptr);
    ops::linear_backward(device, to_gpu(x), {}, {}, to_gpu(dy), device_arena, our_dx);
    EXPECT_TRUE(near_twin(our_y, y, 0, product_bound(DType::f32, std::sqrt(double{kK}))));
    EXPECT_TRUE(near_twin(our_dx, dx, 0, product_bound(DType::f32, std::sqrt(double{kN}))));
    EXPECT_TRUE(
        near_twin(device.grad_weight, host.grad_weight, 0, product_bound(DType::f32, 4 * kTokens)));
  }
}

}  // namespace
}  // namespace qlora
