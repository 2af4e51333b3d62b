// Linear layers with LoRA on a base in NF4, on the GPU beside the CPU.
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

// One row, odd ones, and a group of three as q, k and v are.
const std::vector<Sizes> kSizes{
    {1, 64, 4, {64}}, {33, 96, 8, {33, 31}}, {70, 192, 16, {192, 64, 64}}};

// The same group for both devices: codes and adapters in float32, dense parts in the dtype.
struct Groups {
  LinearGroup host, device;
};

Groups groups(const Sizes& s, DType dtype, float dropout) {
  Groups g;
  g.host.K = g.device.K = s.K;
  std::uint64_t stream = 10;
  for (const std::int64_t N : s.N) {
    Projection part;
    part.name = "part";
    part.N = N;
    const Tensor W = random_tensor(DType::f32, {N, s.K}, stream++, 0.05f).to(dtype);
    part.quantized = quantize_4bit(W, QuantType::nf4, 64, true);
    Adapter a;
    a.A = random_tensor(DType::f32, {s.R, s.K}, stream++, 0.1f).to(dtype).to(DType::f32);
    a.B = random_tensor(DType::f32, {N, s.R}, stream++, 0.1f).to(dtype).to(DType::f32);
    a.grad_A = random_tensor(DType::f32, {s.R, s.K}, stream++);
    a.grad_B = random_tensor(DType::f32, {N, s.R}, stream++);
    a.scaling = 2.0;
    a.dropout = dropout;
    a.stream = stream++;
    part.adapters.push_back(a);
    Projection there = part;
    there.quantized = ops::on(Device::cuda, *part.quantized);
    Adapter& b = there.adapters[0];
    for (Tensor* t : {&b.A, &b.B, &b.grad_A, &b.grad_B}) *t = to_gpu(*t);
    g.host.parts.push_back(std::move(part));
    g.device.parts.push_back(std::move(there));
  }
  return g;
}

// u and du are rounded to the format between two products: an error of u per element, through a
// product of R terms. Every product sums in float32. `size` bounds the sums of magnitudes.
double bound(DType dtype, double size) {
  return 4 * std::max(unit_roundoff(dtype), 512 * 0x1p-24) * size;
}

TEST(CudaLinear, ForwardAndBackwardAreTheirTwins) {
  SKIP_WITHOUT_GPU();
  for (const DType dtype : kDeviceTypes) {
    for (const Sizes& s : kSizes) {
      for (const float dropout : {0.0f, 0.25f}) {
        const Groups g = groups(s, dtype, dropout);
        const DropoutRun run{true, 7, 3};
        const std::int64_t N = g.host.N();
        const Tensor x = random_tensor(dtype, {s.tokens, s.K}, 1);
        const Tensor residual = random_tensor(dtype, {s.tokens, N}, 2);
        const Tensor dy = random_tensor(dtype, {s.tokens, N}, 3);
        Arena host, device = ops::arena_on(Device::cuda);
        const Tensor y = Tensor::empty(DType::f32, {s.tokens, N});
        const Tensor dx = Tensor::empty(DType::f32, {s.tokens, s.K});
        const std::int64_t room = g.device.room();
        const LinearSaved saved = take_saved(g.host, s.tokens, DType::f32, host),
                          our_saved = take_saved(g.device, s.tokens, dtype, device);
        ops::linear_forward(g.host, widened(x), widened(residual), run, host, y, &saved);
        ops::linear_backward(g.host, widened(x), saved, run, widened(dy), host, dx);

        const Tensor our_y = poisoned(dtype, {s.tokens, N});
        const Tensor our_dx = poisoned(dtype, {s.tokens, s.K});
        const Tensor our_x = with_room(x, room), our_dy = with_room(dy, room);
        ops::linear_forward(g.device, our_x, to_gpu(residual), run, device, our_y, &our_saved);
        ops::linear_backward(g.device, our_x, our_saved, run, our_dy, device, our_dx);
        const std::string what = std::string(python_name(dtype)) + " K " + std::to_string(s.K) +
                                 " dropout " + std::to_string(dropout);
        const double root = std::sqrt(static_cast<double>(s.K));
        EXPECT_TRUE(near_twin(our_y, y, unit_roundoff(dtype), bound(dtype, root))) << what;
        EXPECT_TRUE(near_twin(our_dx, dx, unit_roundoff(dtype),
                              bound(dtype, std::sqrt(static_cast<double>(N)))))
            << what;
        for (std::size_t p = 0; p < g.host.parts.size(); ++p) {
          const Adapter& a = g.host.parts[p].adapters[0];
          const Adapter& b = g.device.parts[p].adapters[0];
          const double tokens = static_cast<double>(s.tokens);
          EXPECT_TRUE(near_twin(b.grad_A, a.grad_A, 0x1p-22, bound(dtype, 4 * root * tokens)))
              << what;
          EXPECT_TRUE(near_twin(b.grad_B, a.grad_B, 0x1p-22, bound(dtype, 4 * root * tokens)))
              << what;
        }
      }
    }
  }
}

}  // namespace
}  // namespace qlora
