// Cross-entropy of rows of logits on the GPU beside the CPU's in float64.
#include <cmath>

#include "cuda/twin.h"
#include "ops/cross_entropy.h"

#if QLORA_HAS_CUDA
#include "ops/cuda/elementwise.h"

namespace qlora {
namespace {

using namespace testing;

struct Sizes {
  std::int64_t rows, V;
};

const std::vector<Sizes> kSizes =
    sizes<Sizes>({{1, 1}, {3, 31}, {33, 257}, {5, 1024}, {7, 9001}, {4, 128256}},
                 {{3, 31}, {5, 1024}, {3, 9001}, {3, 16384}});
constexpr double kScale = 0.37;

// Logits, targets of which some are skipped, and what the CPU makes of them.
struct Case {
  Tensor logits, targets, gradient, losses;
  double range = 0;  // largest less smallest finite logit

  Case(DType dtype, std::int64_t rows, std::int64_t V, bool with_infinities) {
    const Tensor drawn = random_tensor(DType::f32, {rows, V}, 1, 3.0f);
    targets = Tensor::empty(DType::i32, {rows});
    for (std::int64_t i = 0; i < rows; ++i) {
      targets.data<std::int32_t>()[i] = static_cast<std::int32_t>(i % 3 == 2 ? -100 : i * 7919 % V);
      for (std::int64_t v = 0; with_infinities && v < V; ++v) {
        const bool kept = v % 2000 < 3 || v == targets.data<std::int32_t>()[i];
        if (!kept) drawn.data<float>()[i * V + v] = -INFINITY;
      }
    }
    logits = drawn.to(dtype);
    range = 2 * 3.0 * 6.0;
    const Tensor wide = widened(logits).to(DType::f64), loss = Tensor::zeros(DType::f64, {rows});
    for (std::int64_t i = 0; i < rows; ++i) {
      if (targets.data<std::int32_t>()[i] == -100) {
        wide.rows(i, i + 1).zero();
      } else {
        cpu::cross_entropy<double>(1, V, wide.data<double>() + i * V,
                                   targets.data<std::int32_t>() + i, kScale,
                                   loss.data<double>() + i);
      }
    }
    gradient = wide.to(DType::f32);
    losses = loss.to(DType::f32);
  }
};

// Relative, of a probability: a thread adds V/1024 terms, and for each access scales its sum, then
// 37 sums are added; every exponential at distance d from the largest logit is within 2 + 1.173 d
// units, and distances of one chain of factors add up to the range.
double probability_bound(const Case& c, std::int64_t V, std::int64_t N) {
  const double terms = static_cast<double>(V) / 1024 + 64;
  const double scalings = 2 * (static_cast<double>(V) / static_cast<double>(1024 * N) + 1);
  return (terms + scalings + 3.6 * c.range + 16) * 0x1p-23;
}

void expect_twin(const Case& c, DType dtype) {
  const std::int64_t rows = c.logits.dim(0), V = c.logits.dim(1);
  const double bound = probability_bound(c, V, V % 8 == 0 ? 4 : 1);
  Tensor first, first_losses;
  for (int run = 0; run < kRuns; ++run) {
    const Tensor ours = ops::on(Device::cuda, c.logits.clone());
    const Tensor losses = poisoned(DType::f32, {rows});
    cuda::softmax_cross_entropy(ours, to_gpu(c.targets), kScale, losses);
    // the loss is a logarithm of the sum (an error of it adds), less a distance of at most `range`
    EXPECT_TRUE(near_twin(losses, c.losses, 0x1p-22, bound + c.range * 0x1p-23));
    // at the target scale·p and scale cancel each other
    const Tensor host = to_host(ours), theirs = c.gradient.clone();
    for (std::int64_t i = 0; i < rows; ++i) {
      const std::int32_t target = c.targets.data<std::int32_t>()[i];
      if (target == -100) continue;
      float& ours_there = host.data<float>()[i * V + target];
      float& theirs_there = theirs.data<float>()[i * V + target];
      EXPECT_LE(std::abs(ours_there - theirs_there),
                1.01 * (kScale * (bound + unit_roundoff(dtype)) + smallest_rounding(dtype)));
      ours_there = theirs_there = 0;
    }
    EXPECT_TRUE(near_twin(host, theirs, 1.01 * (bound + unit_roundoff(dtype)),
                          1.01 * smallest_rounding(dtype)))
        << python_name(dtype) << " " << rows << " x " << V;
    if (run > 0) {
      EXPECT_TRUE(same_on_gpu(first, ours));
      EXPECT_TRUE(same_on_gpu(first_losses, losses));
    }
    first = ours;
    first_losses = losses;
  }
}

TEST(CudaCrossEntropy, LossesAndGradientsAreTheirTwins) {
  SKIP_WITHOUT_GPU();
  for (const DType dtype : kDeviceTypes) {
    for (const auto [rows, V] : kSizes) expect_twin(Case(dtype, rows, V, false), dtype);
  }
}

// Whole accesses, and all that some threads see, may be −∞.
TEST(CudaCrossEntropy, ImpossibleTokens) {
  SKIP_WITHOUT_GPU();
  for (const DType dtype : kDeviceTypes) {
    for (const std::int64_t V : {9001, 16384}) expect_twin(Case(dtype, 3, V, true), dtype);
  }
}

TEST(CudaCrossEntropy, WithoutAScaleTheLogitsStay) {
  SKIP_WITHOUT_GPU();
  for (const DType dtype : kDeviceTypes) {
    const Case c(dtype, 5, 1000, false);
    const Tensor ours = ops::on(Device::cuda, c.logits.clone());
    const Tensor losses = poisoned(DType::f32, {5});
    cuda::softmax_cross_entropy(ours, to_gpu(c.targets), 0.0, losses);
    EXPECT_TRUE(same_on_gpu(ours, c.logits));
    const double bound = probability_bound(c, 1000, 4) + c.range * 0x1p-23;
    EXPECT_TRUE(near_twin(losses, c.losses, 0x1p-22, bound));
  }
}

}  // namespace
}  // namespace qlora
#endif
