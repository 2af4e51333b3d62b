// Conversions and dropout on the GPU: each rounds once, as the host does, so that
// the bits are the same.
#include "cuda/twin.h"

#if QLORA_HAS_CUDA
#include "ops/cuda/elementwise.h"

namespace qlora {
namespace {

using namespace testing;

const std::vector<std::int64_t> kSizes =
    sizes<std::int64_t>({1, 7, 31, 33, 257, 4096, 100003}, {7, 4096, 5003});

TEST(CudaElementwise, CastRoundsAsTheHost) {
  SKIP_WITHOUT_GPU();
  for (const DType from : kDeviceTypes) {
    for (const DType to : kDeviceTypes) {
      for (const std::int64_t n : kSizes) {
        // some are too large for float16
        const Tensor x = random_tensor(DType::f32, {n}, 1, 3e4f).to(from);
        const Tensor ours = poisoned(to, {n});
        cuda::cast(to_gpu(x), ours);
        EXPECT_TRUE(same_on_gpu(ours, x.to(to)))
            << python_name(from) << " to " << python_name(to) << " " << n;
      }
    }
  }
}

// A view that begins at element 1 lies at no multiple of 16 bytes.
TEST(CudaElementwise, AnyAddressWillDo) {
  SKIP_WITHOUT_GPU();
  for (const DType dtype : kDeviceTypes) {
    const Tensor x = random_tensor(dtype, {1001}, 1);
    const Tensor ours = poisoned(DType::f32, {1001});
    cuda::cast(to_gpu(x).rows(1, 1001), ours.rows(0, 1000));
    EXPECT_TRUE(same_on_gpu(ours.rows(0, 1000), widened(x).rows(1, 1001)));
  }
}

TEST(CudaElementwise, DropoutHasTheMasksOfTheCpu) {
  SKIP_WITHOUT_GPU();
  for (const DType dtype : kDeviceTypes) {
    for (const std::int64_t n : kSizes) {
      for (const float p : {0.0f, 0.1f, 0.5f}) {
        const Dropout how{p, {0x123456789abcdefu, stream_of(3, 41)}};
        const Tensor x = random_tensor(dtype, {n}, 1), before = random_tensor(dtype, {n}, 2);
        const Tensor dropped = widened(x), added = widened(before);
        for (std::int64_t i = 0; i < n; ++i) {
          const bool kept = how.random.keeps(static_cast<std::uint64_t>(i), p);
          float& value = dropped.data<float>()[i];
          value = kept ? value * (1.0f / (1.0f - p)) : 0.0f;
          added.data<float>()[i] += value;
        }
        const Tensor ours = poisoned(dtype, {n}), our_sum = ops::on(Device::cuda, before.clone());
        cuda::dropout(to_gpu(x), how, ours);
        cuda::add_dropout(to_gpu(x), how, our_sum);
        EXPECT_TRUE(same_on_gpu(ours, dropped.to(dtype))) << python_name(dtype) << " " << n;
        EXPECT_TRUE(same_on_gpu(our_sum, added.to(dtype))) << python_name(dtype) << " " << n;
      }
    }
  }
}

}  // namespace
}  // namespace qlora
#endif
