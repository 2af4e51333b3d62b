// GB/s of float32 in or out: quantizing and dequantizing beside a copy of the same values.
// Goals on two threads: dequantize at 50 % of the copy, quantize at 20 %.
#include <benchmark/benchmark.h>

#include <cstring>

#include "core/parallel.h"
#include "core/random.h"
#include "quantization/quantized_tensor.h"

namespace qlora {
namespace {

constexpr std::int64_t kRows = 4096;
constexpr std::int64_t kColumns = 4096;

// Normal values, as weights have.
const Tensor& weights() {
  static const Tensor tensor = [] {
    Tensor t = Tensor::empty(DType::f32, {kRows, kColumns});
    const Random random{.seed = 7, .stream = 1};
    parallel_for(t.numel(), 1024, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        t.data<float>()[i] = 0.02f * random.normal(static_cast<std::uint64_t>(i));
      }
    });
    return t;
  }();
  return tensor;
}

void count_bytes(benchmark::State& state) {
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(weights().nbytes()));
}

void copy(benchmark::State& state) {
  const Tensor& x = weights();
  const Tensor out = Tensor::zeros(DType::f32, {kRows, kColumns});
  while (state.KeepRunning()) {
    parallel_for(out.numel(), 4096, [&](std::int64_t begin, std::int64_t end) {
      std::memcpy(out.data<float>() + begin, x.data<float>() + begin,
                  static_cast<std::size_t>(end - begin) * sizeof(float));
    });
    benchmark::ClobberMemory();
  }
  count_bytes(state);
}

void quantize(benchmark::State& state, QuantType type, bool double_quant) {
  const Tensor& x = weights();
  while (state.KeepRunning()) {
    benchmark::DoNotOptimize(quantize_4bit(x, type, 64, double_quant).packed.raw());
  }
  count_bytes(state);
}

void dequantize(benchmark::State& state, QuantType type, DType dtype, bool double_quant) {
  QuantizedTensor q = quantize_4bit(weights(), type, 64, double_quant);
  q.dtype = dtype;
  const Tensor out = Tensor::zeros(DType::f32, {kRows, kColumns});
  while (state.KeepRunning()) {
    dequantize_4bit(q, out.data<float>());
    benchmark::ClobberMemory();
  }
  count_bytes(state);
}

constexpr QuantType kNf4 = QuantType::nf4;
constexpr QuantType kFp4 = QuantType::fp4;

BENCHMARK(copy)->UseRealTime();
BENCHMARK_CAPTURE(quantize, nf4, kNf4, false)->UseRealTime();
BENCHMARK_CAPTURE(quantize, nf4_double_quant, kNf4, true)->UseRealTime();
BENCHMARK_CAPTURE(quantize, fp4, kFp4, false)->UseRealTime();
BENCHMARK_CAPTURE(dequantize, nf4, kNf4, DType::f32, false)->UseRealTime();
BENCHMARK_CAPTURE(dequantize, nf4_double_quant, kNf4, DType::f32, true)->UseRealTime();
BENCHMARK_CAPTURE(dequantize, nf4_double_quant_bf16, kNf4, DType::bf16, true)->UseRealTime();
BENCHMARK_CAPTURE(dequantize, nf4_double_quant_f16, kNf4, DType::f16, true)->UseRealTime();
BENCHMARK_CAPTURE(dequantize, fp4, kFp4, DType::f32, false)->UseRealTime();

}  // namespace
}  // namespace qlora

BENCHMARK_MAIN();
