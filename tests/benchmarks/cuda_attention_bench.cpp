// TFLOP/s of attention on the GPU at the 3B model's sizes, in bfloat16, and the bandwidth of one
// generated token's. Medians of 30 runs after 5, timed by events on the stream.
#include <cuda_runtime.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <vector>

#include "core/random.h"
#include "ops/cuda/attention_cudnn.h"
#include "ops/cuda/device.h"
#include "ops/device_memory.h"
#include "ops/ops.h"

namespace {

using namespace qlora;

// N(0, 1) in bfloat16 on the GPU.
Tensor random_tensor(Shape shape, std::uint64_t stream) {
  const Tensor t = Tensor::empty(DType::f32, std::move(shape));
  const Random random{1, stream};
  for (std::int64_t i = 0; i < t.numel(); ++i) {
    t.data<float>()[i] = random.normal(static_cast<std::uint64_t>(i));
  }
  return ops::on(Device::cuda, t.to(DType::bf16));
}

double median_seconds(const std::function<void()>& work) {
  constexpr int kWarmUp = 5, kRuns = 30;
  std::vector<cudaEvent_t> events(kRuns + 1);
  for (cudaEvent_t& event : events) cuda::check(cudaEventCreate(&event), "cudaEventCreate");
  for (int i = 0; i < kWarmUp; ++i) work();
  cuda::check(cudaEventRecord(events[0], cuda::stream()), "cudaEventRecord");
  for (std::size_t i = 1; i < events.size(); ++i) {
    work();
    cuda::check(cudaEventRecord(events[i], cuda::stream()), "cudaEventRecord");
  }
  cuda::synchronize();
  std::vector<float> milliseconds(kRuns);
  for (std::size_t i = 0; i < milliseconds.size(); ++i) {
    cuda::check(cudaEventElapsedTime(&milliseconds[i], events[i], events[i + 1]),
                "cudaEventElapsedTime");
  }
  for (cudaEvent_t event : events) cudaEventDestroy(event);
  std::nth_element(milliseconds.begin(), milliseconds.begin() + kRuns / 2, milliseconds.end());
  return milliseconds[kRuns / 2] / 1e3;
}

// Two products of the pairs that see each other forward, five backward.
void training(std::int64_t B, std::int64_t T, AttentionKernel kernel, const char* name) {
  const AttentionShape s{B, T, T, 24, 8, 128};
  const Tensor qkv = random_tensor({B * T, (s.H + 2 * s.K) * s.D}, 1);
  const Tensor dout = random_tensor({B * T, s.H * s.D}, 2);
  const auto like = [](const Tensor& t) {
    return ops::empty_on(Device::cuda, t.dtype(), t.shape());
  };
  const Tensor out = like(dout), dqkv = like(qkv);
  const Tensor lse = ops::empty_on(Device::cuda, DType::f32, {B, s.H, T});
  Arena arena = ops::arena_on(Device::cuda);
  const double forward =
      median_seconds([&] { ops::attention_forward(s, qkv, Tensor(), out, lse, kernel); });
  const double backward = median_seconds(
      [&] { ops::attention_backward(s, qkv, Tensor(), out, lse, dout, arena, dqkv, kernel); });
  const double flops =
      4.0 * static_cast<double>(B * s.H * s.D) * static_cast<double>(T * (T + 1)) / 2;
  std::printf("%-14s %2lld x %5lld   %8.3f ms %6.0f TFLOP/s   %8.3f ms %6.0f TFLOP/s\n", name,
              static_cast<long long>(B), static_cast<long long>(T), forward * 1e3,
              flops / forward / 1e12, backward * 1e3, 2.5 * flops / backward / 1e12);
}

// The keys and values are read once.
void generation(std::int64_t S) {
  const AttentionShape s{1, 1, S, 24, 8, 128};
  const Tensor qkv = random_tensor({1, (s.H + 2 * s.K) * s.D}, 1);
  const Tensor out = ops::empty_on(Device::cuda, DType::bf16, {1, s.H * s.D});
  // As many caches as layers, so that the GPU's own cache holds none of them.
  const Tensor random = random_tensor({1, S, s.K * s.D}, 2);
  std::vector<Tensor> keys(28), values(28);
  for (std::vector<Tensor>* caches : {&keys, &values}) {
    for (Tensor& cache : *caches) {
      cache = ops::empty_on(Device::cuda, random.dtype(), random.shape());
      ops::copy(random, cache);
    }
  }
  Arena arena = ops::arena_on(Device::cuda);
  const double seconds = median_seconds([&] {
    for (std::size_t i = 0; i < keys.size(); ++i) {
      ops::attention_cached(s, qkv, keys[i], values[i], Tensor(), arena, out);
    }
  });
  const double bytes =
      2.0 * static_cast<double>(keys[0].nbytes()) * static_cast<double>(keys.size());
  std::printf("one token over %5lld keys, 28 layers: %8.3f ms, %5.0f GB/s\n",
              static_cast<long long>(S), seconds * 1e3, bytes / seconds / 1e9);
}

}  // namespace

int main() {
  if (!ops::has_gpu()) {
    std::puts("needs a GPU");
    return static_cast<int>(ExitCode::machine_lacks);
  }
  std::printf("%s; 24 query heads and 8 key-value heads of 128, causal, bfloat16\n\n",
              ops::gpu_name().c_str());
  std::puts("kernel           B x     T   forward                       backward");
  training(4, 2048, AttentionKernel::own, "own");
  training(4, 2048, AttentionKernel::small, "small");
  training(1, 2048, AttentionKernel::own, "own");
  training(1, 8192, AttentionKernel::own, "own");
  if (cuda::cudnn_problem().empty()) {
    training(4, 2048, AttentionKernel::cudnn, "cuDNN here");
    training(1, 2048, AttentionKernel::cudnn, "cuDNN here");
    training(1, 8192, AttentionKernel::fastest, "cuDNN or own");
  } else {
    std::printf("without cuDNN: %s\n", cuda::cudnn_problem().c_str());
  }
  std::puts(
      "cuDNN, H100      4 x  2048                    501 TFLOP/s                  347 TFLOP/s");
  std::puts(
      "its flash peer   4 x  2048                    270 TFLOP/s                  211 TFLOP/s\n");
  for (const std::int64_t S : {256, 1024, 8192}) generation(S);
}
