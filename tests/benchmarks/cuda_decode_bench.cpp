// One token of a 3B model on the GPU: every part's time over its 28 layers, and tokens per second
// of greedy answers of 264 tokens to a prompt of 128. Random weights in NF4 with double
// quantization, LoRA of rank 16 on every projection, bfloat16.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <vector>

#include "core/parallel.h"
#include "core/random.h"
#include "llama/generation.h"
#include "ops/cuda/few_rows.h"
#include "ops/device_memory.h"
#include "ops/ops.h"
#include "ops/quantization.h"
#include "ops/recording.h"

namespace qlora {
namespace {

constexpr std::int64_t kRank = 16, kPrompt = 128, kNew = 264;
constexpr int kRuns = 21;

// scale · N(0, 1) on the GPU: some millions of numbers, over and over.
Tensor random_tensor(DType dtype, Shape shape, float scale) {
  static const Tensor some = [] {
    const Tensor t = Tensor::empty(DType::f32, {1 << 22});
    const Random random{7, 1};
    parallel_for(t.numel(), 1024, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        t.data<float>()[i] = random.normal(static_cast<std::uint64_t>(i));
      }
    });
    return t;
  }();
  const Tensor scaled = some.clone();
  for (float& x : scaled.span<float>()) x *= scale;
  const Tensor source = ops::on(Device::cuda, scaled.to(dtype));
  const Tensor t = ops::empty_on(Device::cuda, dtype, std::move(shape));
  const Tensor flat = t.reshape({t.numel()});
  for (std::int64_t i = 0; i < t.numel(); i += source.numel()) {
    const std::int64_t count = std::min(source.numel(), t.numel() - i);
    ops::copy(source.rows(0, count), flat.rows(i, i + count));
  }
  return t;
}

void fill(LinearGroup& group) {
  for (Projection& part : group.parts) {
    const Tensor W = random_tensor(DType::bf16, {part.N, group.K}, 0.02f);
    part.quantized = ops::quantize_4bit(W, QuantType::nf4, 64, true);
    Adapter a;
    a.A = random_tensor(DType::f32, {kRank, group.K}, 0.02f);
    a.B = random_tensor(DType::f32, {part.N, kRank}, 0.02f);
    a.scaling = 2.0;
    part.adapters.push_back(a);
  }
}

LlamaModel model_3b() {
  LlamaConfig c;
  c.hidden_size = 3072;
  c.num_hidden_layers = 28;
  c.num_attention_heads = 24;
  c.num_key_value_heads = 8;
  c.head_dim = 128;
  c.intermediate_size = 8192;
  c.vocab_size = 128256;
  c.tie_word_embeddings = true;
  LlamaModel model = model_skeleton(c);
  model.embed_tokens = model.lm_head =
      random_tensor(DType::bf16, {c.vocab_size, c.hidden_size}, 0.02f);
  model.norm = random_tensor(DType::bf16, {c.hidden_size}, 1.0f);
  for (DecoderLayer& layer : model.layers) {
    layer.input_layernorm = layer.post_attention_layernorm = model.norm;
    for (LinearGroup* g : {&layer.qkv, &layer.o, &layer.gate_up, &layer.down}) fill(*g);
  }
  model.reserve_positions(kPrompt + kNew);
  return model;
}

double seconds(const std::function<void()>& work) {
  ops::synchronize(Device::cuda);
  const auto begin = std::chrono::steady_clock::now();
  work();
  ops::synchronize(Device::cuda);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// The median of runs of recorded work, each of ten replays.
double recorded_seconds(const std::function<void()>& work) {
  constexpr int kReplays = 10;
  work();
  const ops::Recording recording(work);
  std::vector<double> times;
  times.reserve(kRuns);
  for (int run = 0; run < kRuns; ++run) {
    times.push_back(seconds([&] {
      for (int i = 0; i < kReplays; ++i) recording.replay();
    }));
  }
  std::ranges::nth_element(times, times.begin() + kRuns / 2);
  return times[kRuns / 2] / kReplays;
}

double bytes_of(const LinearGroup& group) {
  std::size_t bytes = 0;
  for (const Projection& part : group.parts) {
    if (!part.quantized) continue;
    const QuantizedTensor& q = *part.quantized;
    bytes += q.packed.nbytes() + q.absmax.nbytes() + q.nested_absmax.nbytes();
    for (const Adapter& a : part.adapters) bytes += a.A.nbytes() + a.B.nbytes();
  }
  return static_cast<double>(bytes);
}

void measure_groups(const LlamaModel& model, Arena& arena) {
  struct Named {
    const char* name;
    LinearGroup DecoderLayer::* group;
  };
  const auto layers = static_cast<double>(model.layers.size());
  for (const auto& [name, member] :
       {Named{"q, k, v", &DecoderLayer::qkv}, Named{"o", &DecoderLayer::o},
        Named{"gate, up", &DecoderLayer::gate_up}, Named{"down", &DecoderLayer::down}}) {
    for (const std::int64_t T : {1, 2, 4, 8}) {
      const LinearGroup& first = model.layers[0].*member;
      const Tensor x = random_tensor(DType::bf16, {T, first.K}, 1.0f);
      const Tensor y = ops::empty_on(Device::cuda, DType::bf16, {T, first.N()});
      const double time = recorded_seconds([&, group = member] {
        for (const DecoderLayer& layer : model.layers) {
          cuda::few_rows_forward(layer.*group, x, Tensor(), arena, y);
        }
      });
      std::printf("%-10s %lld row(s)  %8.2f us a layer %7.0f GB/s\n", name,
                  static_cast<long long>(T), 1e6 * time / layers,
                  1e-9 * layers * bytes_of(first) / time);
    }
  }
  for (const std::int64_t T : {1, 8}) {
    const Tensor x = random_tensor(DType::bf16, {T, model.config.hidden_size}, 1.0f);
    const Tensor logits = ops::empty_on(Device::cuda, DType::bf16, {T, model.config.vocab_size});
    const double time = recorded_seconds([&] { ops::head_forward(x, model.lm_head, logits); });
    std::printf("%-10s %lld row(s)  %8.2f us         %7.0f GB/s\n", "head",
                static_cast<long long>(T), 1e6 * time,
                1e-9 * static_cast<double>(model.lm_head.nbytes()) / time);
  }
}

void measure_others(const LlamaModel& model, Arena& arena) {
  const LlamaConfig& c = model.config;
  const auto row = [](std::int64_t columns) {
    return random_tensor(DType::bf16, {1, columns}, 1.0f);
  };
  const KeyValueCache cache(model, kPrompt + kNew);
  const Tensor x = row(c.hidden_size), h = row(c.hidden_size), qkv = row(c.qkv_size()),
               attention = row(c.attention_size()), gate_up = row(2 * c.intermediate_size),
               activated = row(c.intermediate_size), logits = row(c.vocab_size);
  const Tensor rstd = ops::empty_on(Device::cuda, DType::f32, {1});
  const Tensor id = ops::empty_on(Device::cuda, DType::i32, {1});
  const Tensor position = Tensor::empty(DType::i32, {1});
  *position.data<std::int32_t>() = static_cast<std::int32_t>(kPrompt + kNew / 2);
  const Tensor at = ops::on(Device::cuda, position);
  const AttentionShape shape{
      1, 1, kPrompt + kNew, c.num_attention_heads, c.num_key_value_heads, c.head_dim};
  const auto report = [&](const char* name, const std::function<void(std::size_t)>& op) {
    const double time = recorded_seconds([&] {
      for (std::size_t l = 0; l < model.layers.size(); ++l) op(l);
    });
    std::printf("%-20s  %8.2f us\n", name, 1e6 * time / static_cast<double>(model.layers.size()));
  };
  report("norm", [&](std::size_t) { ops::rms_norm_forward(x, model.norm, 1e-5, h, rstd); });
  report("rotation", [&](std::size_t) {
    ops::rope_forward(qkv, c.num_attention_heads + c.num_key_value_heads, c.head_dim, at,
                      model.rope_cos, model.rope_sin);
  });
  report("append to the cache", [&](std::size_t l) {
    ops::append_to_cache(shape, qkv, at, cache.keys[l], cache.values[l]);
  });
  report("attention", [&](std::size_t l) {
    ops::attention_cached(shape, qkv, cache.keys[l], cache.values[l], at, arena, attention);
  });
  report("SwiGLU", [&](std::size_t) { ops::swiglu_forward(gate_up, activated); });
  report("argmax", [&](std::size_t) { ops::argmax(logits, id); });
}

void measure_answers(LlamaModel& model, Arena& arena) {
  std::vector<std::int32_t> prompt(kPrompt);
  for (std::size_t i = 0; i < prompt.size(); ++i) prompt[i] = static_cast<std::int32_t>(7 * i);
  Sampling drawn;
  drawn.temperature = 1.0;
  drawn.top_k = 50;
  for (const Sampling& sampling : {Sampling(), drawn}) {
    generate(model, prompt, 4, sampling, arena);
    const double one = seconds([&] { generate(model, prompt, 1, sampling, arena); });
    const double all = seconds([&] { generate(model, prompt, kNew, sampling, arena); });
    std::printf("%s: %.1f ms to the first token, then %.1f tokens/s; %.1f tokens/s over all\n",
                sampling.temperature > 0 ? "drawn" : "greedy", 1e3 * one,
                static_cast<double>(kNew - 1) / (all - one), static_cast<double>(kNew) / all);
  }
}

}  // namespace
}  // namespace qlora

int main() {
  using namespace qlora;
  try {
    std::printf("%s\n", ops::gpu_name().c_str());
    LlamaModel model = model_3b();
    Arena arena = ops::arena_on(Device::cuda);
    measure_groups(model, arena);
    measure_others(model, arena);
    measure_answers(model, arena);
    return 0;
  } catch (const Error& e) {
    std::fprintf(stderr, "bench_cuda_decode: %s\n", e.what());
    return static_cast<int>(e.code());
  }
}
