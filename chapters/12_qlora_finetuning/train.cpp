#include "train.h"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <ctime>

#include "checkpoint/peft_adapter.h"
#include "core/files.h"
#include "course/progress.h"
#include "course/provenance.h"
#include "course/svg.h"
#include "course/text.h"
#include "llama/adapters.h"
#include "llama/decoder.h"
#include "text/batch.h"
#include "text/packing.h"

namespace qlora {
namespace {

volatile std::sig_atomic_t received_signal = 0;

void note_signal(int signal) {
  received_signal = signal;
  std::signal(signal, SIG_DFL);  // a second one ends the program at once
}

void write_loss_figure(const std::string& path, const Series& steps, const Json& log_history) {
  LineChart chart{"Training loss", "optimizer step", "cross-entropy (nats a token)", false,
                  false,           {steps}};
  Series eval{"evaluation", {}, {}, true, false};
  for (const Json& entry : log_history.as_array()) {
    if (const Json* loss = entry.find("eval_loss")) {
      eval.x.push_back(entry.at("step").as_number());
      eval.y.push_back(loss->as_number());
    }
  }
  if (!eval.x.empty()) chart.series.push_back(eval);
  write_svg(path, chart);
}

// Puts the examples into packed rows, and says how well they fit.
void pack_rows(TokenizedDataset& data, std::int64_t max_length) {
  if (data.examples.empty()) return;
  const auto examples = static_cast<std::int64_t>(data.examples.size());
  data.examples = pack(data.examples, max_length);
  const auto rows = static_cast<std::int64_t>(data.examples.size());
  fmt::print("packed: {} examples in {} rows of up to {} tokens, {:.1f} % full\n",
             grouped(examples), grouped(rows), grouped(max_length),
             100.0 * static_cast<double>(data.tokens) / static_cast<double>(rows * max_length));
}

// The model's template, where a row needs one.
ChatTemplate template_for(const std::vector<Example>& rows, const TrainOptions& o) {
  const bool needed = std::ranges::any_of(
      rows, [](const Example& row) { return row.kind == Example::Kind::messages; });
  if (!needed) return {};
  ChatTemplate chat = chat_template_of(o.model.model);
  if (!o.date_string.empty()) chat.date_string = o.date_string;
  return chat;
}

// What the model has no row of a table for.
void check_fits(const TokenizedDataset& data, const LlamaConfig& config, const std::string& path) {
  for (const TokenizedExample& e : data.examples) {
    for (std::int32_t id : e.input_ids) {
      if (id >= config.vocab_size) {
        throw BadInput(
            path, "",
            fmt::format("the tokenizer gives id {}, the model has {}", id, config.vocab_size));
      }
    }
  }
  const std::int64_t positions = positions_in(data.examples);
  if (positions > config.max_position_embeddings) {
    throw BadInput(path, "",
                   fmt::format("a row has {} tokens, the model {} positions: cut rows by "
                               "--max-length",
                               positions, config.max_position_embeddings));
  }
}

// Rows as tokens; says what was cut, what was left out, and what was packed.
TokenizedDataset tokenized(const std::string& path, const Tokenizer& tokenizer,
                           const LlamaConfig& config, const TrainOptions& o) {
  const std::vector<Example> rows = read_dataset(path);
  TokenizedDataset data =
      tokenize_dataset(rows, tokenizer, o.training.max_length, template_for(rows, o), path);
  check_fits(data, config, path);
  fmt::print("{}: {} rows, {} tokens; {} cut to {} tokens, {} left out (no label left)\n", path,
             grouped(data.rows), grouped(data.tokens), grouped(data.cut), o.training.max_length,
             grouped(data.dropped));
  if (o.training.packing) pack_rows(data, o.training.max_length);
  return data;
}

// One forward and backward pass over given ids: loss and every gradient, for comparison.
int dump_gradients(const TrainOptions& o, LlamaModel& model) {
  const Batch batch = read_ids_for(model, o.ids);
  if (!batch.labels) throw BadInput(o.ids, "labels", "are missing, a gradient needs them");
  Arena arena;
  const TrainingPass pass{{true, o.training.arguments.seed, 0},
                          o.training.arguments.gradient_checkpointing,
                          1.0 / static_cast<double>(batch.supervised)};
  const double loss = loss_backward(model, batch, pass, arena) * pass.gradient_scale;
  const float value = static_cast<float>(loss);
  NamedTensors tensors{{"loss", Tensor::from<float>(std::span(&value, 1), {1})}};
  for (const Parameter& p : adapter_parameters(model)) tensors.emplace_back(p.name, p.grad);
  write_safetensors(o.dump_gradients, tensors);
  fmt::print("loss {:.6f}; {} gradients: {}\n", loss, tensors.size() - 1, o.dump_gradients);
  return 0;
}

std::string default_output_dir() {
  char name[64];
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  std::strftime(name, sizeof name, "runs/%Y-%m-%d_%H.%M.%S", &local);
  return name;
}

std::optional<std::string> checkpoint_to_resume(const TrainingOptions& t) {
  if (t.resume_from_checkpoint.empty() || t.resume_from_checkpoint == "false") return std::nullopt;
  if (t.resume_from_checkpoint != "true") return t.resume_from_checkpoint;
  const auto newest = newest_checkpoint(t.output_dir);
  if (!newest) throw BadInput(t.output_dir, "", "holds no checkpoint to resume from");
  return newest;
}

// A base that is not quantized yet becomes NF4 with double quantization unless told otherwise.
void default_to_nf4(ModelOptions& o) {
  if (!o.quantize.empty()) return;
  o.quantize = "nf4";
  o.double_quant = true;
}

}  // namespace

void write_adapter_of(const LlamaModel& model, const LoraConfig& lora, const std::string& folder) {
  write_adapter(folder, saved_form(model, lora));
}

TrainingResult train_with_progress(TrainingTask& task, const LoraConfig& lora,
                                   const std::optional<std::string>& resume_from) {
  make_folder(task.output_dir);
  std::signal(SIGINT, note_signal);
  std::signal(SIGTERM, note_signal);
  task.save_model = [&](const std::string& folder) { write_adapter_of(task.model, lora, folder); };
  std::optional<Progress> progress;  // its clock begins behind the first step that this run makes
  Series losses{"each step", {}, {}, false, false};
  TrainingEvents events;
  std::string last;
  events.on_step = [&](const StepReport& r) {
    losses.x.push_back(static_cast<double>(r.step));
    losses.y.push_back(r.loss);
    if (!progress) progress.emplace("train", r.total_steps, "steps", r.step);
    last = fmt::format("loss {:.4f}  lr {:.1e}  {:.0f} tokens/s", r.loss, r.learning_rate,
                       r.tokens_per_second);
    progress->update(r.step, [&] { return last; });
  };
  events.stop_signal = [] { return static_cast<int>(received_signal); };
  const TrainingResult result = train(task, events, resume_from);
  if (progress) progress->finish(last);
  if (result.stopped_by == 0) write_adapter_of(task.model, lora, task.output_dir);
  write_loss_figure(task.output_dir + "/loss.svg", losses, result.state.log_history);
  write_atomically(task.output_dir + "/trainer_state.json",
                   to_json(result.state).dump(2, true) + "\n");
  return result;
}

int run_train(TrainOptions& o, const std::string& command) {
  settle(o.training);
  default_to_nf4(o.model);
  LlamaModel model = load(o.model);
  TrainingOptions& t = o.training;
  t.lora.base_model_name_or_path = o.model.model;
  t.lora.task_type = "CAUSAL_LM";
  if (o.model.adapters.empty()) attach_lora(model, t.lora, t.arguments.seed);
  if (!o.ids.empty()) return dump_gradients(o, model);
  if (t.data.empty()) throw UsageError("--data FILE is needed");
  if (t.output_dir.empty()) t.output_dir = default_output_dir();
  const Tokenizer tokenizer = Tokenizer::load(o.model.model);
  const TokenizedDataset data = tokenized(t.data, tokenizer, model.config, o);
  TokenizedDataset eval;
  if (!t.eval_data.empty()) eval = tokenized(t.eval_data, tokenizer, model.config, o);
  const auto parameters = adapter_parameters(model);
  std::int64_t trainable = 0;
  for (const Parameter& p : parameters) trainable += p.value.numel();
  fmt::print("base: {}; {} trainable parameters\n", base_format(model), grouped(trainable));
  TrainingTask task{
      model,        parameters, data.examples, eval.examples, tokenizer.padding(), t.arguments,
      t.output_dir, {}};
  const TrainingResult result = train_with_progress(task, t.lora, checkpoint_to_resume(t));
  if (result.stopped_by != 0) {
    fmt::print(stderr, "stopped after step {}; to go on: {} --resume-from-checkpoint {}\n",
               result.steps, command, result.last_checkpoint);
    return 128 + result.stopped_by;
  }
  fmt::print("mean loss {:.4f} over {} steps, {} tokens in {:.1f} s; adapter: {}\n",
             result.train_loss, result.steps, grouped(result.tokens), result.seconds, t.output_dir);
  Json j = Json::object();
  j["train_loss"] = result.train_loss;
  j["steps"] = result.steps;
  j["tokens"] = result.tokens;
  j["seconds"] = result.seconds;
  j["output_dir"] = t.output_dir;
  write_results(o.json, j);
  return 0;
}

}  // namespace qlora
