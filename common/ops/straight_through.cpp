#include "ops/straight_through.h"

#include <algorithm>

#include "ops/device.h"
#include "ops/device_memory.h"
#include "ops/ops.h"

namespace qlora::ops {
namespace {

void check_weights(const Tensor& w, const Tensor& other, const char* op) {
  require(w.rank() == 2 && other.shape() == w.shape() && other.device() == w.device(), op,
          "matrices of one shape on one device");
}

}  // namespace

void fake_quantize(const FakeFormat& format, const Tensor& w, const Tensor& w_q) {
  constexpr const char* op = "fake_quantize";
  check_weights(w, w_q, op);
  require(w.dtype() == w_q.dtype(), op, "a result of the weight's dtype");
  QLORA_ON_GPU(w, fake_quantize(format, w, w_q));
  on_device(w, op, [&]<typename T>(T) {
    qlora::fake_quantize<T>(format, w.dim(1), w.span<T>(), w_q.span<T>());
  });
}

void fake_quantize_backward(const FakeFormat& format, const Tensor& w, const Tensor& dw_q,
                            const Tensor& dw) {
  constexpr const char* op = "fake_quantize_backward";
  check_weights(w, dw_q, op);
  check_weights(w, dw, op);
  QLORA_ON_GPU(w, fake_quantize_backward(format, w, dw_q, dw));
  on_device(w, op, [&]<typename T>(T) {
    qlora::fake_quantize_backward<T>(format, w.dim(1), w.span<T>(), dw_q.span<T>(), dw.span<T>());
  });
}

Tensor seen_weight(const LinearGroup& group, Arena& arena) {
  if (std::ranges::none_of(group.parts, has_fake)) return group.weight;
  const Tensor seen = arena.take(group.weight.dtype(), group.weight.shape());
  std::int64_t row = 0;
  for (const Projection& part : group.parts) {
    const Tensor from = group.weight.rows(row, row + part.N), to = seen.rows(row, row + part.N);
    if (part.fake) {
      fake_quantize(*part.fake, from, to);
    } else {
      copy(from, to);
    }
    row += part.N;
  }
  return seen;
}

// [gradient]
void add_weight_gradient(const LinearGroup& group, Arena& arena, const AddProduct& add) {
  if (std::ranges::none_of(group.parts, has_fake)) return add(0, group.N(), group.grad_weight);
  std::int64_t row = 0;
  for (const Projection& part : group.parts) {
    const ArenaScope scope(arena);
    const Tensor dW = group.grad_weight.rows(row, row + part.N);
    if (part.fake) {
      const Tensor of_seen = arena.take_zeros(dW.dtype(), dW.shape());
      add(row, part.N, of_seen);
      fake_quantize_backward(*part.fake, group.weight.rows(row, row + part.N), of_seen, dW);
    } else {
      add(row, part.N, dW);
    }
    row += part.N;
  }
}
// [/gradient]

}  // namespace qlora::ops
