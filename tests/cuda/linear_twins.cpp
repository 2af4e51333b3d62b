#include "cuda/linear_twins.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <utility>

#include "ops/ops.h"
#include "ops/quantization.h"

namespace qlora::testing {
namespace {

std::string name_of(const LinearSizes& s, const LinearKind& kind) {
  return std::string(python_name(kind.dtype)) + " K " + std::to_string(s.K) + " dropout " +
         std::to_string(kind.dropout) + (kind.dense ? " dense" : "") + (kind.dora ? " DoRA" : "");
}

// What both devices make of the same x, residual and dy.
struct Pass {
  Tensor y, dx;          // of the host
  Tensor our_y, our_dx;  // of the GPU
};

Pass one_pass(const LinearTwins& g, const LinearSizes& s, DType dtype) {
  const DropoutRun run{true, 7, 3};
  const std::int64_t N = g.host.N(), room = g.device.room();
  const Tensor x = random_tensor(dtype, {s.tokens, s.K}, 1);
  const Tensor residual = random_tensor(dtype, {s.tokens, N}, 2);
  const Tensor dy = random_tensor(dtype, {s.tokens, N}, 3);
  Arena host, device = ops::arena_on(Device::cuda);
  Pass p{Tensor::empty(DType::f32, {s.tokens, N}), Tensor::empty(DType::f32, {s.tokens, s.K}),
         poisoned(dtype, {s.tokens, N}), poisoned(dtype, {s.tokens, s.K})};
  const LinearSaved saved = take_saved(g.host, s.tokens, DType::f32, host),
                    our_saved = take_saved(g.device, s.tokens, dtype, device);
  ops::linear_forward(g.host, widened(x), widened(residual), run, host, p.y, &saved);
  ops::linear_backward(g.host, widened(x), saved, run, widened(dy), host, p.dx);

  const Tensor our_x = with_room(x, room), our_dy = with_room(dy, room);
  const Tensor our_residual = to_gpu(residual);
  ops::linear_forward(g.device, our_x, our_residual, run, device, p.our_y, &our_saved);
  ops::linear_backward(g.device, our_x, our_saved, run, our_dy, device, p.our_dx);
  for (int again = 1; again < kRuns; ++again) {
    const Tensor other = poisoned(dtype, {s.tokens, N});
    ops::linear_forward(g.device, our_x, our_residual, run, device, other, &our_saved);
    EXPECT_TRUE(same_on_gpu(p.our_y, other));
  }
  return p;
}

}  // namespace

Adapter adapter_of(const LinearSizes& s, std::int64_t N, const LinearKind& kind,
                   std::uint64_t stream) {
  const auto rounded = [&](Shape shape, std::uint64_t of) {
    return random_tensor(DType::f32, std::move(shape), of, 0.1f).to(kind.dtype).to(DType::f32);
  };
  Adapter a;
  a.A = rounded({s.R, s.K}, stream);
  a.B = rounded({N, s.R}, stream + 1);
  a.grad_A = random_tensor(DType::f32, {s.R, s.K}, stream + 3);
  a.grad_B = random_tensor(DType::f32, {N, s.R}, stream + 4);
  if (kind.dora) {
    a.magnitude = random_tensor(DType::f32, {N}, stream + 2);
    a.grad_magnitude = random_tensor(DType::f32, {N}, stream + 5);
  }
  a.scaling = 2.0;
  a.dropout = kind.dropout;
  a.stream = stream;
  return a;
}

Adapter on_gpu(Adapter adapter) {
  for (Tensor* t : {&adapter.A, &adapter.B, &adapter.magnitude, &adapter.grad_A, &adapter.grad_B,
                    &adapter.grad_magnitude}) {
    if (*t) *t = to_gpu(*t);
  }
  return adapter;
}

LinearTwins::LinearTwins(const LinearSizes& s, const LinearKind& kind) {
  host.K = device.K = s.K;
  const std::int64_t rows = std::accumulate(s.N.begin(), s.N.end(), std::int64_t{0});
  const Tensor W = random_tensor(DType::f32, {rows, s.K}, 9, 0.05f).to(kind.dtype);
  if (kind.dense) {
    host.weight = widened(W);
    device.weight = to_gpu(W);
  }
  if (kind.trains_base) {
    host.grad_weight = random_tensor(DType::f32, {rows, s.K}, 8);
    device.grad_weight = to_gpu(host.grad_weight);
  }
  std::int64_t row = 0;
  std::uint64_t stream = 10;
  for (const std::int64_t N : s.N) {
    Projection here;
    here.name = "part";
    here.N = N;
    if (!kind.dense) here.quantized = quantize_4bit(W.rows(row, row + N), QuantType::nf4, 64, true);
    Projection there = here;
    if (here.quantized) there.quantized = ops::on(Device::cuda, *here.quantized);
    LinearKind of_part = kind;
    of_part.dora = kind.dora && host.parts.size() != 1;
    here.adapters.push_back(adapter_of(s, N, of_part, stream));
    there.adapters.push_back(on_gpu(here.adapters[0]));
    host.parts.push_back(std::move(here));
    device.parts.push_back(std::move(there));
    row += N;
    stream += 10;
  }
}

double product_bound(DType dtype, double size) {
  return 4 * std::max(unit_roundoff(dtype), 512 * 0x1p-24) * size;
}

void expect_twins(const LinearTwins& g, const LinearSizes& s, const LinearKind& kind,
                  double scale) {
  const Pass p = one_pass(g, s, kind.dtype);
  const std::string what = name_of(s, kind);
  const double root = std::sqrt(static_cast<double>(s.K)), tokens = static_cast<double>(s.tokens);
  const auto bound = [&](double size) { return scale * product_bound(kind.dtype, size); };
  const double u = unit_roundoff(kind.dtype);
  EXPECT_TRUE(near_twin(p.our_y, p.y, u, bound(root))) << what;
  EXPECT_TRUE(near_twin(p.our_dx, p.dx, u, bound(std::sqrt(static_cast<double>(g.host.N())))))
      << what;
  const auto expect_near = [&](const Tensor& ours, const Tensor& theirs) {
    EXPECT_TRUE(near_twin(ours, theirs, 0x1p-22, bound(4 * root * tokens))) << what;
  };
  if (kind.trains_base) expect_near(g.device.grad_weight, g.host.grad_weight);
  for (std::size_t i = 0; i < g.host.parts.size(); ++i) {
    const Adapter &a = g.host.parts[i].adapters[0], &b = g.device.parts[i].adapters[0];
    expect_near(b.grad_A, a.grad_A);
    expect_near(b.grad_B, a.grad_B);
    if (a.magnitude) expect_near(b.grad_magnitude, a.grad_magnitude);
  }
}

}  // namespace qlora::testing
