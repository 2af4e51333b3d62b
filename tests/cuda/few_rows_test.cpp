// Products of few rows on the GPU, straight from 4-bit codes, beside the CPU's.
#include <cmath>

#include "cuda/attention_bounds.h"
#include "cuda/twin.h"

#if QLORA_HAS_CUDA
#include "ops/cuda/few_rows.h"
#include "ops/ops.h"
#include "ops/quantization.h"

namespace qlora {
namespace {

using namespace testing;

struct Case {
  std::int64_t T, K, R;         // R 0: no adapters
  std::vector<std::int64_t> N;  // of the parts
  std::int64_t adapters = 1;    // of each part
};

// Every number of rows that a pass computes, and passes of several; fewer rows of a weight than a
// tile has; K below a warp's span, in whole spans and not, of more spans than warps; more low ranks
// than blocks; more blocks than multiprocessors; the groups of a model of 3 billion parameters.
const std::vector<Case> kAll{{1, 32, 1, {1}},
                             {1, 64, 4, {64}},
                             {2, 96, 8, {33, 31}},
                             {3, 1056, 16, {130}, 2},
                             {1, 3072, 16, {257, 64, 66}},
                             {8, 2080, 5, {70, 6}},
                             {5, 8192, 16, {40}},
                             {1, 16416, 0, {9}},
                             {4, 16416, 3, {9}},
                             {1, 64, 200, {8}},
                             {4, 3072, 8, {6000}},
                             {1, 3072, 16, {3072, 1024, 1024}},
                             {1, 8192, 16, {3072}}};
const std::vector<Case> kCases =
    sizes<Case>(kAll, {{1, 32, 1, {1}}, {2, 96, 8, {33, 31}}, {5, 64, 4, {70}}});

Tensor magnitudes(const Tensor& x) {
  const Tensor all = widened(x);
  for (float& value : all.span<float>()) value = std::abs(value);
  return all;
}

// The same group on both devices, and on the host with all of its numbers' magnitudes.
struct Groups {
  LinearGroup host, device, sums;
};

Groups groups(const Case& c, DType stored, QuantType type, bool double_quant) {
  Groups g;
  std::uint64_t stream = 10;
  std::vector<float> weights;
  for (const std::int64_t N : c.N) {
    Projection part;
    part.name = "part";
    part.N = N;
    const Tensor W = random_tensor(stored, {N, c.K}, stream++, 0.05f);
    part.quantized = quantize_4bit(W, type, 64, double_quant);
    const std::size_t filled = weights.size();
    weights.resize(filled + static_cast<std::size_t>(N * c.K));
    dequantize_codes(part, weights.data() + filled);
    for (std::int64_t i = 0; c.R > 0 && i < c.adapters; ++i) {
      Adapter a;
      a.A = random_tensor(DType::f32, {c.R, c.K}, stream++, 0.1f);
      a.B = random_tensor(DType::f32, {N, c.R}, stream++, 0.1f);
      a.scaling = 2.0 + static_cast<double>(i);
      part.adapters.push_back(a);
    }
    Projection there = part, sum = part;
    there.quantized = ops::on(Device::cuda, *part.quantized);
    sum.quantized.reset();
    for (Adapter& a : there.adapters) {
      a.A = to_gpu(a.A);
      a.B = to_gpu(a.B);
    }
    for (Adapter& a : sum.adapters) {
      a.A = magnitudes(a.A);
      a.B = magnitudes(a.B);
    }
    g.host.parts.push_back(part);
    g.device.parts.push_back(there);
    g.sums.parts.push_back(sum);
  }
  g.host.K = g.device.K = g.sums.K = c.K;
  g.sums.weight = magnitudes(Tensor::from<float>(weights, {g.host.N(), c.K}));
  return g;
}

// x in longer rows, whose other columns are NaN.
Tensor in_longer_rows(const Tensor& x, std::int64_t ld) {
  const Tensor longer = Tensor::empty(DType::f32, {x.dim(0), ld}), all = widened(x);
  std::fill_n(longer.data<float>(), longer.numel(), NAN);
  for (std::int64_t t = 0; t < x.dim(0); ++t) {
    std::copy_n(all.data<float>() + t * x.dim(1), x.dim(1), longer.data<float>() + t * ld);
  }
  return longer.to(x.dtype());
}

// Each term of y is a product of K or R terms at most, or of one of each: in float32 its error is
// within (K + R + 8) 2^-24 of the sum of magnitudes, here and on the CPU. The CPU rounds the values
// of the codes to the dtype that the weight had; here they are not rounded.
void expect_twin(const Case& c, DType dtype, DType stored, QuantType type, bool double_quant,
                 bool with_residual) {
  const Groups g = groups(c, stored, type, double_quant);
  const std::int64_t N = g.host.N();
  const Tensor x = random_tensor(dtype, {c.T, c.K}, 1);
  const Tensor residual = with_residual ? random_tensor(dtype, {c.T, N}, 2) : Tensor();
  Arena host, device = ops::arena_on(Device::cuda);
  const Tensor y = Tensor::empty(DType::f32, {c.T, N}), bounds = y.clone();
  ops::linear_forward(g.host, widened(x), residual ? widened(residual) : Tensor(), {}, host, y,
                      nullptr);
  ops::linear_forward(g.sums, magnitudes(x), residual ? magnitudes(residual) : Tensor(), {}, host,
                      bounds, nullptr);
  scale_bounds(bounds,
               2 * (static_cast<double>(c.K + c.R) + 8) * 0x1p-24 +
                   (stored == DType::f32 ? 0.0 : unit_roundoff(stored)),
               smallest(dtype));
  for (const std::int64_t ld : {c.K, c.K + 64}) {
    const Tensor there = to_gpu(in_longer_rows(x, ld));
    const Tensor before = residual ? to_gpu(residual) : Tensor();
    ASSERT_TRUE(cuda::few_rows_serves(g.device, there));
    Tensor first;
    for (int run = 0; run < kRuns; ++run) {
      const Tensor ours = poisoned(dtype, {c.T, N});
      cuda::few_rows_forward(g.device, there, before, device, ours);
      EXPECT_TRUE(within(ours, y, bounds))
          << python_name(dtype) << " T " << c.T << " K " << c.K << " N " << N << " R " << c.R
          << (double_quant ? " nested" : "") << " ld " << ld;
      if (run > 0) {
        EXPECT_TRUE(same_on_gpu(first, ours));
      }
      first = ours;
    }
  }
}

TEST(CudaFewRows, ProductIsItsTwin) {
  SKIP_WITHOUT_GPU();
  for (const DType dtype : kDeviceTypes) {
    for (const Case& c : kCases) {
      expect_twin(c, dtype, DType::f32, QuantType::nf4, true, true);
    }
  }
}

TEST(CudaFewRows, EveryKindOfCodes) {
  SKIP_WITHOUT_GPU();
  for (const Case& c : sizes<Case>({kAll[2], kAll[4], kAll[5]}, {kAll[2]})) {
    for (const QuantType type : {QuantType::nf4, QuantType::fp4}) {
      for (const bool double_quant : {false, true}) {
        expect_twin(c, DType::f32, DType::f32, type, double_quant, false);
        expect_twin(c, DType::bf16, DType::bf16, type, double_quant, true);
      }
    }
  }
}

TEST(CudaFewRows, ResidualMayBeTheOutput) {
  SKIP_WITHOUT_GPU();
  const Case c{3, 1056, 4, {70}};
  const Groups g = groups(c, DType::f32, QuantType::nf4, true);
  const Tensor x = to_gpu(random_tensor(DType::bf16, {c.T, c.K}, 1));
  const Tensor residual = to_gpu(random_tensor(DType::bf16, {c.T, 70}, 2));
  const Tensor y = poisoned(DType::bf16, {c.T, 70});
  Arena arena = ops::arena_on(Device::cuda);
  cuda::few_rows_forward(g.device, x, residual, arena, y);
  cuda::few_rows_forward(g.device, x, residual, arena, residual);
  EXPECT_TRUE(same_on_gpu(y, residual));
}

TEST(CudaFewRows, SaysWhatItDoesNotTake) {
  SKIP_WITHOUT_GPU();
  const auto serves = [](const Case& c) {
    const Groups g = groups(c, DType::f32, QuantType::nf4, false);
    return cuda::few_rows_serves(g.device, poisoned(DType::bf16, {c.T, c.K}));
  };
  EXPECT_TRUE(serves({8, 64, 4, {8, 8, 8}}));
  EXPECT_FALSE(serves({9, 64, 4, {8}}));           // rows
  EXPECT_FALSE(serves({1, 40, 4, {8}}));           // K
  EXPECT_FALSE(serves({1, 64, 4, {8, 8, 8, 8}}));  // parts
  EXPECT_FALSE(serves({1, 64, 4, {8, 8, 8}, 3}));  // adapters
  EXPECT_FALSE(serves({1, 64, 257, {8}}));         // ranks
}

TEST(CudaFewRows, HeadIsItsTwin) {
  SKIP_WITHOUT_GPU();
  for (const DType dtype : kDeviceTypes) {
    for (const std::int64_t T : {1, 2, 3, 8}) {
      for (const auto& [C, V] : sizes<std::pair<std::int64_t, std::int64_t>>(
               {{8, 1}, {264, 33}, {3072, 1027}, {12288, 70}, {64, 20001}}, {{264, 33}})) {
        const Tensor x = random_tensor(dtype, {T, C}, 1);
        const Tensor head = random_tensor(dtype, {V, C}, 2, 0.1f);
        const Tensor logits = Tensor::empty(DType::f32, {T, V}), bounds = logits.clone();
        ops::head_forward(widened(x), widened(head), logits);
        ops::head_forward(magnitudes(x), magnitudes(head), bounds);
        scale_bounds(bounds, 2 * (static_cast<double>(C) + 8) * 0x1p-24, smallest(dtype));
        const Tensor our_x = to_gpu(x), our_head = to_gpu(head);
        ASSERT_TRUE(cuda::few_rows_serves(our_head, our_x));
        Tensor first;
        for (int run = 0; run < kRuns; ++run) {
          const Tensor ours = poisoned(dtype, {T, V});
          cuda::few_rows_head(our_x, our_head, ours);
          EXPECT_TRUE(within(ours, logits, bounds))
              << python_name(dtype) << " T " << T << " C " << C << " V " << V;
          if (run > 0) {
            EXPECT_TRUE(same_on_gpu(first, ours));
          }
          first = ours;
        }
      }
    }
  }
}

}  // namespace
}  // namespace qlora
#endif
