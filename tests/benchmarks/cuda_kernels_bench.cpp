// GB/s of the quantizers' kernels on the GPU, beside a copy of the same 16-bit values. Bytes are
// what a kernel must move: codes, maxima and values, each once (2.516 B a weight for NF4 with
// double quantization, 4 B for the copy).
#include <algorithm>
#include <cstdio>
#include <vector>

#include "core/parallel.h"
#include "core/random.h"
#include "ops/cuda/device.h"
#include "ops/cuda/quantization.h"
#include "ops/device_memory.h"
#include "ops/quantization.h"

namespace qlora {
namespace {

constexpr int kCallsABatch = 20;
constexpr int kBatches = 21;
constexpr double kRotatedBytes = 400e6;  // of 16-bit values: several times the second-level cache

// Buffers of one turn. They differ from turn to turn, so that nothing is found in the cache.
struct Turn {
  Tensor x, out;                  // BF16 (N,K)
  QuantizedTensor plain, nested;  // of x
};

// Normal values, as weights have, repeated until the tensor is full.
void fill(const Tensor& x) {
  static const Tensor some = [] {
    const Tensor t = Tensor::empty(DType::f32, {1 << 22});
    const Random random{.seed = 7, .stream = 1};
    parallel_for(t.numel(), 1024, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        t.data<float>()[i] = 0.02f * random.normal(static_cast<std::uint64_t>(i));
      }
    });
    return ops::on(Device::cuda, t.to(DType::bf16));
  }();
  const Tensor flat = x.reshape({x.numel()});
  for (std::int64_t i = 0; i < x.numel(); i += some.numel()) {
    const std::int64_t count = std::min(some.numel(), x.numel() - i);
    ops::copy(some.rows(0, count), flat.rows(i, i + count));
  }
}

Turn make_turn(std::int64_t N, std::int64_t K) {
  Turn turn{cuda::empty(DType::bf16, {N, K}), cuda::empty(DType::bf16, {N, K}), {}, {}};
  fill(turn.x);
  turn.plain = ops::quantize_4bit(turn.x, QuantType::nf4);
  turn.nested = ops::quantize_4bit(turn.x, QuantType::nf4, 64, true);
  return turn;
}

// Seconds of one call, the median of batches; f(turn) puts its work on the stream.
template <typename F>
double seconds(const std::vector<Turn>& turns, F&& f) {
  cudaEvent_t begin = nullptr, end = nullptr;
  cuda::check(cudaEventCreate(&begin), "event");
  cuda::check(cudaEventCreate(&end), "event");
  std::vector<double> times;
  std::size_t next = 0;
  for (int batch = -2; batch < kBatches; ++batch) {  // the first two are not counted
    cuda::check(cudaEventRecord(begin, cuda::stream()), "event");
    for (int call = 0; call < kCallsABatch; ++call) f(turns[next++ % turns.size()]);
    cuda::check(cudaEventRecord(end, cuda::stream()), "event");
    cuda::synchronize();
    float milliseconds = 0.0f;
    cuda::check(cudaEventElapsedTime(&milliseconds, begin, end), "event");
    if (batch >= 0) times.push_back(1e-3 * static_cast<double>(milliseconds) / kCallsABatch);
  }
  cudaEventDestroy(begin);
  cudaEventDestroy(end);
  std::ranges::nth_element(times, times.begin() + kBatches / 2);
  return times[kBatches / 2];
}

double bytes_of(const QuantizedTensor& q, const Tensor& values) {
  return static_cast<double>(q.packed.nbytes() + q.absmax.nbytes() + q.nested_absmax.nbytes() +
                             values.nbytes());
}

void measure(std::int64_t N, std::int64_t K) {
  const double values = 2.0 * static_cast<double>(N * K);
  std::vector<Turn> turns;
  const int count = std::max(2, static_cast<int>(kRotatedBytes / values) + 1);
  turns.reserve(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) turns.push_back(make_turn(N, K));
  const Turn& first = turns.front();

  const double copied = seconds(turns, [](const Turn& turn) { cuda::copy(turn.x, turn.out); });
  const double copy_rate = 2 * values / copied;
  const auto row = [&](const char* name, double bytes, double time) {
    std::printf("%-28s %6lld x %-6lld %9.1f us %8.0f GB/s %5.1f %% of copy\n", name,
                static_cast<long long>(N), static_cast<long long>(K), 1e6 * time,
                1e-9 * bytes / time, 100 * bytes / time / copy_rate);
  };
  row("copy", 2 * values, copied);
  row("dequantize NF4", bytes_of(first.plain, first.out),
      seconds(turns, [](const Turn& turn) { cuda::dequantize_4bit(turn.plain, turn.out); }));
  row("dequantize NF4 + DQ", bytes_of(first.nested, first.out),
      seconds(turns, [](const Turn& turn) { cuda::dequantize_4bit(turn.nested, turn.out); }));
  Arena arena = ops::arena_on(Device::cuda);
  const auto quantize = [&](const Turn& turn, const QuantizedTensor& q) {
    const ArenaScope scope(arena);
    cuda::quantize_4bit(turn.x, q, arena);
  };
  row("quantize NF4", bytes_of(first.plain, first.x),
      seconds(turns, [&](const Turn& turn) { quantize(turn, turn.plain); }));
  row("quantize NF4 + DQ", bytes_of(first.nested, first.x),
      seconds(turns, [&](const Turn& turn) { quantize(turn, turn.nested); }));
}

}  // namespace
}  // namespace qlora

int main() {
  try {
    std::printf("%s\n", qlora::ops::gpu_name().c_str());
    qlora::measure(8192, 3072);
    qlora::measure(16384, 16384);
    return 0;
  } catch (const qlora::Error& e) {
    std::fprintf(stderr, "bench_cuda_kernels: %s\n", e.what());
    return static_cast<int>(e.code());
  }
}
