// What a group of linears is made of: its codes, its adapters, and what a pass needs beside them.
#include <algorithm>

#include "ops/linear.h"
#include "quantization/llm_int8.h"

namespace qlora {

void dequantize_codes(const Projection& p, float* out) {
  if (p.quantized) {
    dequantize_4bit(*p.quantized, out);
  } else if (p.int8) {
    dequantize_int8(*p.int8, out);
  } else {
    require(false, "dequantize_codes", "a projection that is quantized");
  }
}

bool has_dora(const Projection& p) {
  return std::ranges::any_of(p.adapters,
                             [](const Adapter& a) { return static_cast<bool>(a.magnitude); });
}

bool has_fake(const Projection& p) {
  return p.fake.has_value();
}

Dropout dropout_of(const DropoutRun& run, const Adapter& adapter) {
  if (!run.training) return {};
  return {adapter.dropout, {run.seed, stream_of(run.step, adapter.stream)}};
}

std::int64_t LinearGroup::room() const {
  constexpr std::int64_t kMultiple = 64;  // rows of x and dy begin at whole lines of memory
  std::int64_t ranks = 0;
  for (const Projection& p : parts) {
    for (const Adapter& a : p.adapters) {
      if (a.A.device() == Device::cpu || a.dropout > 0 || a.magnitude) return 0;
      ranks += a.A.dim(0);
    }
  }
  return (ranks + kMultiple - 1) / kMultiple * kMultiple;
}

LinearSaved take_saved(const LinearGroup& group, std::int64_t tokens, DType arithmetic,
                       Arena& arena) {
  LinearSaved saved;
  if (group.room() > 0) {
    saved.u.push_back(arena.take(arithmetic, {tokens, group.room()}));
    return saved;
  }
  for (const Projection& p : group.parts) {
    for (const Adapter& a : p.adapters) {
      saved.u.push_back(arena.take(arithmetic, {tokens, a.A.dim(0)}));
    }
  }
  return saved;
}

void cpu::int8_product(const LinearGroup& group, const Tensor& x, Arena& arena, float* y) {
  const std::int64_t tokens = x.dim(0), N = group.N();
  for (const Projection& part : group.parts) {
    const ArenaScope scope(arena);
    const Tensor own = arena.take(DType::f32, {tokens, part.N});
    // NOLINTNEXTLINE(bugprone-unchecked-optional-access): all parts are in int8
    const Int8Tensor& w = *part.int8;
    linear_int8({w.codes.span<std::int8_t>(), w.absmax.span<float>(), part.N, group.K},
                x.span<float>(), tokens, {}, kOutlierThreshold, own.span<float>());
    for (std::int64_t t = 0; t < tokens; ++t) {
      std::copy_n(own.data<float>() + t * part.N, part.N, y + t * N);
    }
    y += part.N;
  }
}

}  // namespace qlora
