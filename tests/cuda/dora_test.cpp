// DoRA on the GPU beside the CPU: the norms of adapted rows, and a group of linear layers in which
// one projection has none.
#include <cmath>

#include "cuda/twin.h"
#include "ops/ops.h"
#include "ops/quantization.h"

namespace qlora {
namespace {

using namespace testing;

struct Sizes {
  std::int64_t tokens, K, R;
  std::vector<std::int64_t> N;
};

// One row, odd ones, more ranks than a turn of the norm's kernel holds, and q, k and v.
const std::vector<Sizes> kSizes{
    {1, 64, 4, {64}}, {33, 96, 8, {33, 31}}, {5, 320, 70, {40}}, {70, 192, 16, {192, 64, 64}}};

// The same adapter for both devices; in 16-bit arithmetic A and B are numbers of that format.
Adapter adapter_of(const Sizes& s, std::int64_t N, DType dtype, std::uint64_t stream) {
  Adapter a;
  a.A = random_tensor(DType::f32, {s.R, s.K}, stream, 0.1f).to(dtype).to(DType::f32);
  a.B = random_tensor(DType::f32, {N, s.R}, stream + 1, 0.1f).to(dtype).to(DType::f32);
  a.magnitude = random_tensor(DType::f32, {N}, stream + 2);
  a.grad_A = random_tensor(DType::f32, {s.R, s.K}, stream + 3);
  a.grad_B = random_tensor(DType::f32, {N, s.R}, stream + 4);
  a.grad_magnitude = random_tensor(DType::f32, {N}, stream + 5);
  a.scaling = 2.0;
  a.stream = stream;
  return a;
}

Adapter on_gpu(Adapter a) {
  for (Tensor* t : {&a.A, &a.B, &a.magnitude, &a.grad_A, &a.grad_B, &a.grad_magnitude}) {
    *t = to_gpu(*t);
  }
  return a;
}

// Squares of K sums of R + 1 terms, added in float32 in an order of 256 threads: each sum is off by
// (R + 1) u of its terms' magnitudes, the square root halves what the sum of squares is off by, and
// the twin is a sum in float64 of sums in float32.
TEST(CudaDora, NormsAreTheirTwins) {
  SKIP_WITHOUT_GPU();
  for (const DType dtype : kDeviceTypes) {
    for (const Sizes& s : kSizes) {
      const std::int64_t N = s.N[0];
      const Adapter a = adapter_of(s, N, DType::f32, 20), b = on_gpu(a);
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
  Adapter a = adapter_of({1, 64, 4, {}}, 3, DType::f32, 20);
  a.B.zero();
  const Tensor norm = poisoned(DType::f32, {3});
  ops::dora_norm(to_gpu(Tensor::zeros(DType::f32, {3, 64})), on_gpu(a), norm);
  const Tensor host = to_host(norm);
  for (const float n : host.span<float>()) EXPECT_EQ(n, 1.0f);
}

// The same group for both devices: codes, and the second of several projections without DoRA.
struct Groups {
  LinearGroup host, device;
};

Groups groups(const Sizes& s, DType dtype, float dropout, bool dense) {
  Groups g;
  g.host.K = g.device.K = s.K;
  std::uint64_t stream = 10;
  std::int64_t sum = 0;
  for (const std::int64_t N : s.N) sum += N;
  const Tensor all = random_tensor(DType::f32, {sum, s.K}, 9, 0.05f).to(dtype);
  if (dense) {
    g.host.weight = widened(all);
    g.device.weight = to_gpu(all);
  }
  std::int64_t row = 0;
  for (const std::int64_t N : s.N) {
    Projection part;
    part.name = "part";
    part.N = N;
    if (!dense) part.quantized = quantize_4bit(all.rows(row, row + N), QuantType::nf4, 64, true);
    row += N;
    Adapter a = adapter_of(s, N, dtype, stream += 10);
    a.dropout = dropout;
    if (g.host.parts.size() == 1) a.magnitude = a.grad_magnitude = Tensor();
    Projection there = part;
    if (!dense) there.quantized = ops::on(Device::cuda, *part.quantized);
    Adapter b = a;
    for (Tensor* t : {&b.A, &b.B, &b.magnitude, &b.grad_A, &b.grad_B, &b.grad_magnitude}) {
      if (*t) *t = to_gpu(*t);
    }
    part.adapters.push_back(a);
    there.adapters.push_back(b);
    g.host.parts.push_back(std::move(part));
    g.device.parts.push_back(std::move(there));
  }
  return g;
}

// m / norm of a row: random magnitudes of up to 4 or so, over lengths of 0.3 and more.
constexpr double kLargestScale = 16;

// Sums of products are rounded to the format before they are scaled, and once more after; u and du
// between two products. Every product sums in float32. `size` bounds the sums of magnitudes.
double bound(DType dtype, double size) {
  return 4 * kLargestScale * std::max(unit_roundoff(dtype), 512 * 0x1p-24) * size;
}

void expect_twins(const Sizes& s, DType dtype, float dropout, bool dense) {
  const Groups g = groups(s, dtype, dropout, dense);
  EXPECT_EQ(g.device.room(), 0);
  const DropoutRun run{true, 7, 3};
  const std::int64_t N = g.host.N();
  const Tensor x = random_tensor(dtype, {s.tokens, s.K}, 1);
  const Tensor residual = random_tensor(dtype, {s.tokens, N}, 2);
  const Tensor dy = random_tensor(dtype, {s.tokens, N}, 3);
  Arena host, device = ops::arena_on(Device::cuda);
  const Tensor y = Tensor::empty(DType::f32, {s.tokens, N});
  const Tensor dx = Tensor::empty(DType::f32, {s.tokens, s.K});
  const LinearSaved saved = take_saved(g.host, s.tokens, DType::f32, host),
                    our_saved = take_saved(g.device, s.tokens, dtype, device);
  ops::linear_forward(g.host, widened(x), widened(residual), run, host, y, &saved);
  ops::linear_backward(g.host, widened(x), saved, run, widened(dy), host, dx);

  const Tensor our_x = to_gpu(x), our_dy = to_gpu(dy), our_residual = to_gpu(residual);
  const Tensor our_y = poisoned(dtype, {s.tokens, N}), our_dx = poisoned(dtype, {s.tokens, s.K});
  ops::linear_forward(g.device, our_x, our_residual, run, device, our_y, &our_saved);
  ops::linear_backward(g.device, our_x, our_saved, run, our_dy, device, our_dx);
  for (int again = 1; again < kRuns; ++again) {
    const Tensor other = poisoned(dtype, {s.tokens, N});
    ops::linear_forward(g.device, our_x, our_residual, run, device, other, &our_saved);
    EXPECT_TRUE(same_on_gpu(our_y, other));
  }

  const std::string what = std::string(python_name(dtype)) + " K " + std::to_string(s.K) +
                           " dropout " + std::to_string(dropout) + (dense ? " dense" : "");
  const double root = std::sqrt(static_cast<double>(s.K)), tokens = static_cast<double>(s.tokens);
  EXPECT_TRUE(near_twin(our_y, y, unit_roundoff(dtype), bound(dtype, root))) << what;
  EXPECT_TRUE(
      near_twin(our_dx, dx, unit_roundoff(dtype), bound(dtype, std::sqrt(static_cast<double>(N)))))
      << what;
  for (std::size_t p = 0; p < g.host.parts.size(); ++p) {
    const Adapter& a = g.host.parts[p].adapters[0];
    const Adapter& b = g.device.parts[p].adapters[0];
    const double size = bound(dtype, 4 * root * tokens);
    EXPECT_TRUE(near_twin(b.grad_A, a.grad_A, 0x1p-22, size)) << what;
    EXPECT_TRUE(near_twin(b.grad_B, a.grad_B, 0x1p-22, size)) << what;
    if (!a.magnitude) continue;
    EXPECT_TRUE(near_twin(b.grad_magnitude, a.grad_magnitude, 0x1p-22, size)) << what;
  }
}

TEST(CudaDora, ForwardAndBackwardAreTheirTwins) {
  SKIP_WITHOUT_GPU();
  for (const DType dtype : kDeviceTypes) {
    for (const Sizes& s : sizes(kSizes, {kSizes[1]})) {
      for (const float dropout : {0.0f, 0.25f}) {
        for (const bool dense : {false, true}) expect_twins(s, dtype, dropout, dense);
      }
    }
  }
}

}  // namespace
}  // namespace qlora
