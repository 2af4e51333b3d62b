// DoRA on the GPU beside the CPU: the norms of adapted rows, and a group of linear layers in which
// one projection has none.
#include "cuda/linear_twins.h"
#include "ops/ops.h"

namespace qlora {
namespace {

using namespace testing;

// One row, odd ones, more ranks than a turn of the norm's kernel holds, and q, k and v.
const std::vector<LinearSizes> kSizes{
    {1, 64, 4, {64}}, {33, 96, 8, {33, 31}}, {5, 320, 70, {40}}, {70, 192, 16, {192, 64, 64}}};

// Squares of K sums of R + 1 terms, added in float32 in an order of 256 threads: each sum is off by
// (R + 1) u of its terms' magnitudes, the square root halves what the sum of squares is off by, and
// the twin is a sum in float64 of sums in float32.
TEST(CudaDora, NormsAreTheirTwins) {
  SKIP_WITHOUT_GPU();
  for (const DType dtype : kDeviceTypes) {
    for (const LinearSizes& s : kSizes) {
      const std::int64_t N = s.N[0];
      const Adapter a = adapter_of(s, N, {.dora = true}, 20), b = on_gpu(a);
      Tensor W = random_tensor(dtype, {N, s.K}, 1, 0.05f);
      const Tensor norm = Tensor::empty(DType::f32, {N});
      ops::dora_norm(widened(W), a, norm);
      const Tensor first = poisoned(DType::f32, {N});
      ops::dora_norm(to_gpu(W), b, first);
      const std::int64_t a_thread = s.K / 256;  // elements that it adds up
      const double bound = 4 * static_cast<double>(s.R + 1 + a_thread + 8) * 0x1p-24;
      EXPECT_TRUE(near_twin(first, norm, bound, 0)) << python_name(dtype) << " K " << s.K;
      for (int run = 1; run < kRuns; ++run) {
        const Tensor again = poisoned(DType::f32, {N});
        ops::dora_norm(to_gpu(W), b, again);
        EXPECT_TRUE(same_on_gpu(first, again));
      }
    }
  }
}

TEST(CudaDora, ARowOfZerosCountsAsOne) {
  SKIP_WITHOUT_GPU();
  Adapter a = adapter_of({1, 64, 4, {}}, 3, {.dora = true}, 20);
  a.B.zero();
  const Tensor norm = poisoned(DType::f32, {3});
  ops::dora_norm(to_gpu(Tensor::zeros(DType::f32, {3, 64})), on_gpu(a), norm);
  const Tensor host = to_host(norm);
  for (const float n : host.span<float>()) EXPECT_EQ(n, 1.0f);
}

// m / norm of a row: random magnitudes of up to 4 or so, over lengths of 0.3 and more. Sums of
// products are rounded to the format before they are scaled so, and once more after.
constexpr double kLargestScale = 16;

TEST(CudaDora, ForwardAndBackwardAreTheirTwins) {
  SKIP_WITHOUT_GPU();
  for (const DType dtype : kDeviceTypes) {
    for (const LinearSizes& s : sizes(kSizes, {kSizes[1]})) {
      for (const float dropout : {0.0f, 0.25f}) {
        for (const bool dense : {false, true}) {
          const LinearKind kind{dtype, dropout, dense, true};
          const LinearTwins g(s, kind);
          EXPECT_EQ(g.device.room(), 0);
          expect_twins(g, s, kind, kLargestScale);
        }
      }
    }
  }
}

}  // namespace
}  // namespace qlora
