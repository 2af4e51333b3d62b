#include "verbs.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdio>

#include "checkpoint/safetensors.h"
#include "course/provenance.h"
#include "course/table.h"
#include "llama/adapters.h"
#include "llama/decoder.h"
#include "ops/device_memory.h"
#include "ops/ops.h"

namespace qlora {
void run_logits(const LogitsOptions& o) {
  LlamaModel model = load(o.model);
  const LlamaConfig& c = model.config;
  const Batch batch = read_ids_for(model, o.ids);
  const std::int64_t B = batch.input_ids.dim(0), T = batch.input_ids.dim(1);
  Arena arena = ops::arena_on(model.device());
  std::vector<Tensor> states;
  const Tensor h = hidden_forward(model, batch, arena, o.hidden_states ? &states : nullptr);
  const Tensor scores = arena.take(model.arithmetic(), {B * T, c.vocab_size});
  ops::head_forward(h, model.lm_head, scores);
  const Tensor logits = ops::host_copy(scores).to(DType::f32);
  NamedTensors tensors{{"logits", logits.reshape({B, T, c.vocab_size})}};
  for (std::size_t k = 0; k < states.size(); ++k) {
    tensors.emplace_back(fmt::format("hidden_states.{}", k),
                         states[k].to(DType::f32).reshape({B, T, c.hidden_size}));
  }
  Json j = Json::object();
  j["output"] = o.output;
  fmt::print("logits [{}, {}, {}] F32: {}\n", B, T, c.vocab_size, o.output);
  if (batch.labels) {
    const double loss = ops::head_cross_entropy(h, model.lm_head, shifted_targets(batch.labels), 0,
                                                arena, Tensor(), Tensor(), Tensor()) /
                        static_cast<double>(batch.supervised);
    const float value = static_cast<float>(loss);
    tensors.emplace_back("loss", Tensor::from<float>(std::span(&value, 1), {1}));
    j["loss"] = loss;
    fmt::print("loss {:.6f} over {} labels\n", loss, batch.supervised);
  }
  write_safetensors(o.output, tensors);
  write_results(o.json, j);
}

void run_generate(const GenerateOptions& o) {
  LlamaModel model = load(o.model);
  const Tokenizer tokenizer = Tokenizer::load(o.model.model);
  if (tokenizer.vocab_size() > model.config.vocab_size) {
    throw BadInput(o.model.model, "tokenizer",
                   fmt::format("has {} tokens, the model's vocabulary {}", tokenizer.vocab_size(),
                               model.config.vocab_size));
  }
  const std::vector<std::int32_t> prompt = tokenizer.encode(o.prompt);
  Sampling sampling = o.sampling;
  sampling.seed = static_cast<std::uint64_t>(o.seed);
  Arena arena = ops::arena_on(model.device());
  DecodeStream stream(tokenizer);
  const auto start = std::chrono::steady_clock::now();
  std::string text;
  const auto say = [&](const std::string& part) {
    text += part;
    std::fwrite(part.data(), 1, part.size(), stdout);
    std::fflush(stdout);
  };
  for (std::int32_t id : prompt) stream.push(id);
  fmt::print("{}", o.prompt);
  const auto ids = generate(model, prompt, o.max_new_tokens, sampling, arena, [&](std::int32_t id) {
    if (id < tokenizer.vocab_size()) say(stream.push(id));
  });
  say(stream.finish());
  fmt::print("\n");
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  Json j = Json::object();
  j["prompt"] = o.prompt;
  j["text"] = text;
  for (std::int32_t id : ids) j["ids"].push_back(std::int64_t{id});
  j["tokens_per_second"] = static_cast<double>(ids.size()) / seconds;
  write_results(o.json, j);
}

void run_inspect(const InspectOptions& o) {
  const LlamaModel model = load(o.model);
  const LlamaConfig& c = model.config;
  Table shape({"", "value"}, "lr");
  const auto add = [&](const char* name, std::int64_t value) { shape.add({name, grouped(value)}); };
  add("hidden_size C", c.hidden_size);
  add("num_hidden_layers L", c.num_hidden_layers);
  add("num_attention_heads H", c.num_attention_heads);
  add("num_key_value_heads K", c.num_key_value_heads);
  add("head_dim D", c.head_dim);
  add("intermediate_size F", c.intermediate_size);
  add("vocab_size V", c.vocab_size);
  add("max_position_embeddings", c.max_position_embeddings);
  add("parameters", c.parameter_count());
  fmt::print("{}\n", shape.text());

  Table modules({"module of layer 0", "shape N x K", "held as", "adapters"}, "lrl");
  std::size_t bytes = 0;
  std::int64_t adapters = 0;
  model.for_each_projection([&](const LinearGroup& g, const Projection& p) {
    bytes += p.quantized ? p.quantized->nbytes()
             : p.int8    ? p.int8->nbytes()
                         : static_cast<std::size_t>(p.N * g.K) * 4;
    std::string ranks;
    for (const Adapter& a : p.adapters) {
      adapters += a.A.numel() + a.B.numel();
      ranks += fmt::format("{}r={}", ranks.empty() ? "" : ", ", a.A.dim(0));
    }
    if (p.name.rfind("model.layers.0.", 0) != 0) return;
    modules.add({p.name.substr(15), fmt::format("{} x {}", p.N, g.K),
                 p.quantized ? std::string(to_string(p.quantized->type))
                 : p.int8    ? "int8"
                             : "float32",
                 ranks});
  });
  fmt::print("{}\n", modules.text());
  fmt::print("decoder linears: {}, {:.1f} MB in memory; adapters: {} parameters\n",
             base_format(model), static_cast<double>(bytes) / 1e6, grouped(adapters));
  Json j = Json::object();
  j["config"] = to_json(c);
  j["parameters"] = c.parameter_count();
  j["base_format"] = base_format(model);
  j["linear_bytes"] = static_cast<std::int64_t>(bytes);
  j["adapter_parameters"] = adapters;
  write_results(o.json, j);
}

}  // namespace qlora
