// The output head: logits, and its cross-entropy with the gradient made in the forward pass.
#include <algorithm>
#include <cstring>
#include <vector>

#include "ops/cross_entropy.h"
#include "ops/device.h"
#include "ops/device_memory.h"
#include "ops/logits.h"
#include "ops/ops.h"

namespace qlora::ops {
namespace {

constexpr std::int64_t kChunk = 256;  // tokens whose logits are in memory at once

template <typename T>
double in_chunks(const Tensor& x, const Tensor& head, const Supervised& s, double gradient_scale,
                 Arena& arena, const HeadOutputs& out) {
  const Tensor &dx = out.dx, &dhead = out.dhead, &losses = out.losses;
  const std::int64_t V = head.dim(0), C = head.dim(1), count = s.rows.numel();
  const std::int32_t* row = s.rows.data<std::int32_t>();
  const std::int32_t* target = s.targets.data<std::int32_t>();
  const std::int64_t most = std::min(kChunk, count);
  T* gathered = arena.values<T>({most, C});
  T* logits = arena.values<T>({most, V});
  T* loss = arena.values<T>({most});
  const T scale = dx ? static_cast<T>(gradient_scale) : T{0};
  double sum = 0;
  for (std::int64_t first = 0; first < count; first += kChunk) {
    const std::int64_t rows = std::min(kChunk, count - first);
    for (std::int64_t i = 0; i < rows; ++i) {
      std::copy_n(x.data<T>() + row[first + i] * C, C, gathered + i * C);
    }
    cpu::logits_forward<T>(rows, V, C, gathered, head.data<T>(), logits);
    cpu::cross_entropy<T>(rows, V, logits, target + first, scale, loss);
    for (std::int64_t i = 0; i < rows; ++i) {
      sum += static_cast<double>(loss[i]);
      if (losses) losses.data<T>()[row[first + i]] = loss[i];
    }
    if (!dx) continue;
    cpu::logits_backward<T>(rows, V, C, logits, gathered, head.data<T>(),
                            dhead ? dhead.data<T>() : nullptr, gathered);
    for (std::int64_t i = 0; i < rows; ++i) {
      std::copy_n(gathered + i * C, C, dx.data<T>() + row[first + i] * C);
    }
  }
  return sum;
}

}  // namespace

void head_forward(const Tensor& x, const Tensor& head, const Tensor& logits) {
  constexpr const char* op = "head_forward";
  const std::int64_t V = head.dim(0), C = head.dim(1);
  require(x.dim(1) == C && logits.shape() == Shape{x.dim(0), V}, op, "logits of (rows, V)");
  QLORA_ON_GPU(x, head_forward(x, head, logits));
  on_device(x, op, [&]<typename T>(T) {
    cpu::logits_forward<T>(x.dim(0), V, C, x.data<T>(), head.data<T>(), logits.data<T>());
  });
}

void head_cross_entropy(const Tensor& x, const Tensor& head, const Supervised& s,
                        double gradient_scale, Arena& arena, const HeadOutputs& out) {
  constexpr const char* op = "head_cross_entropy";
  require(x.dim(1) == head.dim(1) && s.rows.numel() == s.targets.numel(), op,
          "x (rows,C), head (V,C), a target for each supervised row");
  if (out.dx) require(out.dx.shape() == x.shape(), op, "dx (rows,C)");
  QLORA_ON_GPU(x, head_cross_entropy(x, head, s, gradient_scale, arena, out));
  const ArenaScope scope(arena);
  if (out.dx) out.dx.zero();
  if (out.losses) out.losses.zero();
  on_device(x, op, [&]<typename T>(T) {
    const double sum = in_chunks<T>(x, head, s, gradient_scale, arena, out);
    if (out.sum) out.sum.data<double>()[0] += sum;
  });
}

double head_cross_entropy(const Tensor& x, const Tensor& head, const Tensor& targets,
                          double gradient_scale, Arena& arena, const Tensor& dx,
                          const Tensor& dhead, const Tensor& losses) {
  require(targets.numel() == x.dim(0), "head_cross_entropy", "a target for each row");
  const ArenaScope scope(arena);
  const Supervised host = supervised(targets, head.dim(0));
  const Supervised there{uploaded(host.rows, arena), uploaded(host.targets, arena)};
  const Tensor sum = arena.take_zeros(DType::f64, {1});
  head_cross_entropy(x, head, there, gradient_scale, arena, {sum, dx, dhead, losses});
  return host_copy(sum).data<double>()[0];
}

}  // namespace qlora::ops
