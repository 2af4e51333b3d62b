// Attention, forward and backward, of 1,024 tokens at the embedded model's heads: in one row of one
// example, in one packed row of 4 and of 16, and in 16 rows of their own. A packed row should take
// what its examples take in rows of their own.
#include <benchmark/benchmark.h>

#include "core/parallel.h"
#include "core/random.h"
#include "ops/ops.h"

namespace {

using namespace qlora;

Tensor normal(Shape shape, std::uint64_t stream) {
  Tensor t = Tensor::empty(DType::f32, std::move(shape));
  const Random random{1, stream};
  for (std::int64_t i = 0; i < t.numel(); ++i) {
    t.data<float>()[i] = random.normal(static_cast<std::uint64_t>(i));
  }
  return t;
}

void attention(benchmark::State& state) {
  const std::int64_t tokens = 1024, H = 6, K = 2, D = 32;
  const std::int64_t B = state.range(0), T = tokens / B, examples = state.range(1);
  const AttentionShape shape{B, T, T, H, K, D};
  Tensor segments;
  if (examples > 1) {
    segments = Tensor::empty(DType::i32, {B, T});
    for (std::int64_t i = 0; i < tokens; ++i) {
      segments.data<std::int32_t>()[i] = static_cast<std::int32_t>(1 + i % T * examples / T);
    }
  }
  const Tensor qkv = normal({tokens, (H + 2 * K) * D}, 1), dout = normal({tokens, H * D}, 2);
  const Tensor out = Tensor::empty(DType::f32, dout.shape());
  const Tensor lse = Tensor::empty(DType::f32, {B, H, T});
  const Tensor dqkv = Tensor::empty(DType::f32, qkv.shape());
  Arena arena;
  for (auto _ : state) {
    ops::attention_forward(shape, qkv, segments, out, lse);
    ops::attention_backward(shape, qkv, segments, out, lse, dout, arena, dqkv);
    benchmark::DoNotOptimize(dqkv.data<float>());
  }
  state.counters["threads"] = thread_count();
}
BENCHMARK(attention)
    ->ArgNames({"rows", "examples_a_row"})
    ->Args({1, 1})
    ->Args({1, 4})
    ->Args({4, 1})
    ->Args({1, 16})
    ->Args({16, 1})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

}  // namespace

BENCHMARK_MAIN();
