#include "verbs.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <utility>

#include "checkpoint/peft_adapter.h"
#include "checkpoint/safetensors.h"
#include "course/provenance.h"
#include "course/text.h"
#include "llama/conversation.h"
#include "llama/decoder.h"
#include "llama/module_tree.h"
#include "llama/shapes.h"
#include "ops/device_memory.h"
#include "ops/ops.h"

namespace qlora {
void run_logits(const LogitsOptions& o) {
  LlamaModel model = load(o.model);
  const LlamaConfig& c = model.config;
  const Batch batch = read_ids_for(model, o.ids);
  if (batch.labels && batch.supervised == 0) {
    throw BadInput(o.ids, "labels",
                   "none counts: expected at least one that is not -100 behind a row's first");
  }
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
  std::string said = fmt::format("logits [{}, {}, {}] F32: {}\n", B, T, c.vocab_size, o.output);
  if (batch.labels) {
    const double loss = ops::head_cross_entropy(h, model.lm_head, shifted_targets(batch.labels), 0,
                                                arena, Tensor(), Tensor(), Tensor()) /
                        static_cast<double>(batch.supervised);
    const float value = static_cast<float>(loss);
    tensors.emplace_back("loss", Tensor::from<float>(std::span(&value, 1), {1}));
    j["loss"] = loss;
    said += fmt::format("loss {:.6f} over {} labels\n", loss, batch.supervised);
  }
  write_safetensors(o.output, tensors);
  fmt::print("{}", said);
  write_results(o.json, j);
}

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void say(const std::string& part) {
  std::fwrite(part.data(), 1, part.size(), stdout);
  std::fflush(stdout);
}

Sampling sampling_of(const GenerateOptions& o) {
  Sampling sampling = o.sampling;
  sampling.seed = static_cast<std::uint64_t>(o.seed);
  return sampling;
}

// Line by line from standard input: what is said, and the answer below it. A line that cannot be
// said is passed over.
void run_chat(const GenerateOptions& o) {
  Tokenizer tokenizer = tokenizer_of(o.model.model);
  const ChatTemplate chat = chat_template_of(o.model.model);
  if (chat.kind == ChatTemplate::Kind::none) {
    throw BadInput(o.model.model, "chat_template",
                   "there is none: --chat needs a model that was tuned on conversations");
  }
  LlamaModel model = load(o.model);
  Conversation conversation(model, std::move(tokenizer), chat, o.system);
  Arena arena = ops::arena_on(model.device());
  const bool is_terminal = ::isatty(STDIN_FILENO) != 0;
  Json turns = Json::array();
  std::size_t tokens = 0;
  double seconds = 0;
  Sampling sampling = sampling_of(o);
  const auto next_line = [&](std::string& line) {
    if (is_terminal) say("> ");
    return static_cast<bool>(std::getline(std::cin, line));
  };
  std::int64_t number = 0;
  for (std::string line; next_line(line);) {
    ++number;
    if (line.empty()) continue;
    const auto start = Clock::now();
    std::string text;
    try {
      text = conversation.answer(line, o.max_new_tokens, sampling, arena, say);
    } catch (const BadInput& e) {
      fmt::print(stderr, "line {} is passed over: {}\n", number, e.what());
      continue;
    }
    seconds += seconds_since(start);
    tokens += conversation.last_ids().size();
    ++sampling.seed;  // other draws in every turn
    fmt::print("\n");
    Json turn = Json::object();
    turn["user"] = line;
    turn["assistant"] = text;
    turn["reused_positions"] = conversation.reused();
    turns.push_back(std::move(turn));
  }
  Json j = Json::object();
  j["turns"] = std::move(turns);
  j["tokens_per_second"] = seconds > 0 ? static_cast<double>(tokens) / seconds : 0.0;
  write_results(o.json, std::move(j));
}

}  // namespace

void run_generate(const GenerateOptions& o) {
  if (o.chat == !o.prompt.empty()) throw UsageError("one of --prompt TEXT and --chat is needed");
  if (!o.chat && !o.system.empty()) throw UsageError("--system is the system message of --chat");
  if (o.chat) return run_chat(o);
  const Tokenizer tokenizer = tokenizer_of(o.model.model);
  LlamaModel model = load(o.model);
  const std::vector<std::int32_t> prompt = tokenizer.encode(o.prompt);
  Arena arena = ops::arena_on(model.device());
  DecodeStream stream(tokenizer);
  const auto start = Clock::now();
  std::string text;
  const auto add = [&](const std::string& part) {
    text += part;
    say(part);
  };
  for (std::int32_t id : prompt) stream.push(id);
  bool begun = false;  // the prompt is said when it is known to be of a length that fits
  const auto ids =
      generate(model, prompt, o.max_new_tokens, sampling_of(o), arena, [&](std::int32_t id) {
        if (!std::exchange(begun, true)) say(o.prompt);
        if (id < tokenizer.vocab_size()) add(stream.push(id));
      });
  add(stream.finish());
  fmt::print("\n");
  const double seconds = seconds_since(start);
  Json j = Json::object();
  j["prompt"] = o.prompt;
  j["text"] = text;
  for (std::int32_t id : ids) j["ids"].push_back(std::int64_t{id});
  j["tokens_per_second"] = static_cast<double>(ids.size()) / seconds;
  write_results(o.json, j);
}

namespace {

std::string name_of(const Json& config, const std::optional<BitsAndBytesConfig>& quantization) {
  if (!quantization) {
    const Json* dtype = config.find("dtype");
    if (dtype == nullptr) dtype = config.find("torch_dtype");
    return dtype == nullptr ? "float32" : dtype->as_string();
  }
  return format_name(*quantization);
}

// PEFT calls the first adapter "default"; others get a name when they are loaded, here their
// folder's. Their numbers are counted in `parameters`.
std::vector<NamedLora> adapters_of(const ModelOptions& o, const ModelShapes& shapes,
                                   std::int64_t& parameters) {
  std::vector<NamedLora> adapters;
  for (const std::string& folder : o.adapters) {
    const std::string file = folder + "/adapter_config.json";
    const std::filesystem::path path(folder);
    const std::string name = path.has_filename() ? path.filename() : path.parent_path().filename();
    const LoraConfig lora = lora_config_from_json(Json::read(file), file);
    try {
      parameters += lora_parameters(adapter_shapes(lora, stacked(shapes.layer, shapes.layers)));
    } catch (const UsageError& e) {  // none of the modules is here, or a pattern is no expression
      throw BadInput(file, "target_modules", e.what());
    }
    adapters.push_back({adapters.empty() ? "default" : name, lora});
  }
  return adapters;
}

}  // namespace

void run_inspect(const InspectOptions& o) {
  const Json config = model_config(o.model);
  const std::optional<BitsAndBytesConfig> quantization = wanted_quantization(config, o.model);
  const ModelShapes shapes = model_shapes(config);
  std::int64_t in_adapters = 0;
  const std::vector<NamedLora> adapters = adapters_of(o.model, shapes, in_adapters);
  const std::string tree = module_tree(config, quantization, adapters);
  const std::int64_t heads = config.at("num_attention_heads").as_integer();
  const Json* groups = config.find("num_key_value_heads");
  fmt::print("{}\n", tree);
  fmt::print("{} heads of queries, {} of keys and values; layers in {}\n", heads,
             groups == nullptr ? heads : groups->as_integer(), name_of(config, quantization));
  fmt::print("{} parameters", grouped(shapes.parameters));
  if (!adapters.empty()) fmt::print(", and {} of adapters", grouped(in_adapters));
  fmt::print("\n");
  Json j = Json::object();
  j["config"] = config;
  j["tree"] = tree;
  j["parameters"] = shapes.parameters;
  j["base_format"] = name_of(config, quantization);
  j["adapter_parameters"] = in_adapters;
  write_results(o.json, std::move(j));
}

}  // namespace qlora
