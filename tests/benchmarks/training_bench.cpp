// Tokens a second of a QLoRA step of the embedded model's shape, and its share of the arithmetic
// floor: 2,755,008 parameters in NF4 with double quantization, LoRA of rank 32 on all linears,
// float32, every position supervised, clipping and AdamW.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <vector>

#include "core/matmul.h"
#include "core/parallel.h"
#include "core/random.h"
#include "llama/adapters.h"
#include "llama/decoder.h"
#include "training/optimizer.h"
#include "training/pretraining.h"

namespace {

using namespace qlora;

constexpr std::int64_t kRank = 32;
constexpr std::int64_t kVocabulary = 2048;

// FLOPs of a step of B rows of T tokens; a multiply-add is two. The base is frozen: no gradient of
// its weights, and none of the first layer's input.
double flops(const LlamaConfig& c, std::int64_t B, std::int64_t T) {
  double base = 0, lora = 0, first = 0;
  const LlamaModel model = model_skeleton(c);
  model.for_each_projection([&](const LinearGroup& g, const Projection& p) {
    base += static_cast<double>(g.K * p.N);
    lora += static_cast<double>(kRank * (g.K + p.N));
    const bool of_first_norm = &g == &model.layers[0].qkv;
    if (of_first_norm) first += static_cast<double>(g.K * p.N + kRank * g.K);
  });
  const auto tokens = static_cast<double>(B * T);
  const double head = static_cast<double>(c.hidden_size * c.vocab_size);
  const double pairs = 0.5 * static_cast<double>(B * T * (T + 1));
  const double attention =
      4 * pairs * static_cast<double>(c.attention_size() * c.num_hidden_layers);
  return 2 * tokens * (2 * base + 2 * head + 3 * lora - first) + 3 * attention;
}

// GFLOP/s of a 1024 x 1024 x 1024 float32 product: the median of 30, as the peers' benchmark has
// it.
double product_rate() {
  constexpr std::int64_t n = 1024;
  std::vector<float> a(n * n, 0.5f), b(n * n, 0.25f), c(n * n);
  std::vector<double> seconds;
  for (int i = 0; i < 33; ++i) {
    const auto start = std::chrono::steady_clock::now();
    matmul<float>(Transpose::no, Transpose::no, n, n, n, 1.0f, a.data(), n, b.data(), n, 0.0f,
                  c.data(), n);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    if (i >= 3) seconds.push_back(took.count());
  }
  std::nth_element(seconds.begin(), seconds.begin() + 15, seconds.end());
  return 2.0 * n * n * n / seconds[15] / 1e9;
}

Batch random_batch(std::int64_t B, std::int64_t T) {
  Batch b;
  b.input_ids = Tensor::empty(DType::i32, {B, T});
  const Random random{1, 1};
  for (std::int64_t i = 0; i < B * T; ++i) {
    b.input_ids.data<std::int32_t>()[i] =
        static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(i), kVocabulary));
  }
  b.labels = b.input_ids;
  b.tokens = B * T;
  b.supervised = B * (T - 1);
  return b;
}

void qlora_step(benchmark::State& state) {
  const std::int64_t B = state.range(0), T = state.range(1);
  LlamaModel model = random_model(tiny_llama_shape(kVocabulary), 0);
  quantize_base(model, QuantType::nf4, true, DType::f32);
  LoraConfig lora;
  lora.r = kRank;
  lora.lora_alpha = 2 * kRank;
  lora.target_modules = std::string("all-linear");
  AdamW optimizer(attach_lora(model, lora, 1), TrainingArguments{});
  model.reserve_positions(T);
  const Batch batch = random_batch(B, T);
  const TrainingPass pass{{}, ActivationPolicy::keep, 1.0 / static_cast<double>(batch.supervised)};
  Arena arena;
  const double rate = product_rate();
  std::vector<double> seconds;
  while (state.KeepRunning()) {
    const auto start = std::chrono::steady_clock::now();
    optimizer.zero_gradients();
    benchmark::DoNotOptimize(loss_backward(model, batch, pass, arena));
    optimizer.step(1e-3);
    seconds.push_back(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  std::sort(seconds.begin(), seconds.end());
  const double median = seconds[seconds.size() / 2];
  const double floor = flops(tiny_llama_shape(kVocabulary), B, T) / (rate * 1e9);
  state.counters["tokens_per_s"] = static_cast<double>(B * T) / median;
  state.counters["MFLOP_per_token"] =
      flops(tiny_llama_shape(kVocabulary), B, T) / static_cast<double>(B * T) / 1e6;
  state.counters["product_GFLOP_per_s"] = rate;
  state.counters["times_the_floor"] = median / floor;
  state.counters["threads"] = thread_count();
}
BENCHMARK(qlora_step)
    ->Args({16, 64})
    ->Args({8, 128})
    ->Unit(benchmark::kMillisecond)
    ->MinTime(5)
    ->UseRealTime();

}  // namespace

BENCHMARK_MAIN();
