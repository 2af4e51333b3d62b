#include "train.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <limits>
#include <memory>

#include "checkpoint/peft_adapter.h"
#include "core/files.h"
#include "core/stop_signal.h"
#include "course/progress.h"
#include "course/provenance.h"
#include "course/svg.h"
#include "course/text.h"
#include "llama/adapters.h"
#include "llama/decoder.h"
#include "llama/memory_plan.h"
#include "ops/device_memory.h"
#include "ops/ops.h"
#include "rows.h"
#include "support/launch.h"
#include "support/planning.h"
#include "support/training_log.h"
#include "text/batch.h"

namespace qlora {
namespace {

void write_loss_figure(const std::string& path, const Series& steps, const Json& log_history) {
  LineChart chart{"Training loss", "optimizer step", "cross-entropy (nats a token)", false,
                  false,           {steps}};
  Series eval = logged(log_history, "eval_loss", "evaluation");
  eval.points = true;
  if (!eval.x.empty()) chart.series.push_back(eval);
  write_svg(path, chart);
}

// The model with the adapters that are trained: fresh ones, or those that training goes on with.
LlamaModel adapted_model(TrainOptions& o) {
  LoraConfig& lora = o.training.lora;
  const std::string& name = o.training.base_model_name_or_path;
  LlamaModel model = load(o.model);
  lora.base_model_name_or_path = name.empty() ? o.model.model : name;
  lora.task_type = "CAUSAL_LM";
  if (o.model.adapters.empty()) attach_lora(model, lora, o.training.arguments.seed);
  return model;
}

// One forward and backward pass over given ids: loss and every gradient, for comparison.
int dump_gradients(TrainOptions& o) {
  LlamaModel model = adapted_model(o);
  const Batch batch = read_ids_for(model, o.ids);
  if (!batch.labels) throw BadInput(o.ids, "labels", "are missing, a gradient needs them");
  Arena arena = ops::arena_on(model.device());
  const TrainingPass pass{{true, o.training.arguments.seed, 0},
                          o.training.arguments.activations,
                          1.0 / static_cast<double>(batch.supervised)};
  const double loss = loss_backward(model, batch, pass, arena) * pass.gradient_scale;
  const float value = static_cast<float>(loss);
  NamedTensors tensors{{"loss", Tensor::from<float>(std::span(&value, 1), {1})}};
  for (const Parameter& p : adapter_parameters(model))
    tensors.emplace_back(p.name, ops::host_copy(p.grad));
  write_safetensors(o.dump_gradients, tensors);
  fmt::print("loss {:.6f}; {} gradients: {}\n", loss, tensors.size() - 1, o.dump_gradients);
  return 0;
}

// The run's folder where none is given; strftime's signs in its name stand for the time.
std::string default_output_dir(const std::string& run_name, std::time_t now) {
  char name[256];
  std::tm local{};
  localtime_r(&now, &local);
  if (std::strftime(name, sizeof name, run_name.c_str(), &local) == 0) {
    throw UsageError("--run-name must be a name of 1 to 255 bytes");
  }
  return std::string("runs/") + name;
}

// The folder for results, made if need be; what was made goes again if nothing came into it.
class FolderToFill {
 public:
  explicit FolderToFill(const std::string& path) {
    std::error_code unknown;  // make_folder() says why
    for (auto p = std::filesystem::absolute(path);
         p.has_relative_path() && !std::filesystem::exists(p, unknown); p = p.parent_path()) {
      made_.push_back(p);
    }
    make_folder(path);
  }
  ~FolderToFill() {
    std::error_code not_empty;
    for (const auto& folder : made_) std::filesystem::remove(folder, not_empty);
  }
  FolderToFill(const FolderToFill&) = delete;
  FolderToFill& operator=(const FolderToFill&) = delete;

 private:
  std::vector<std::filesystem::path> made_;  // the innermost first
};

std::optional<std::string> checkpoint_to_resume(const TrainingOptions& t) {
  if (t.resume_from_checkpoint.empty() || t.resume_from_checkpoint == "false") return std::nullopt;
  if (t.resume_from_checkpoint != "true") return t.resume_from_checkpoint;
  const auto newest = newest_checkpoint(t.output_dir);
  if (!newest) throw BadInput(t.output_dir, "", "holds no checkpoint to resume from");
  return newest;
}

// The length of the longest row.
std::int64_t longest_of(const Rows& rows) {
  std::size_t longest = 1;
  for (const TokenizedExample& row : rows.train.examples) {
    longest = std::max(longest, row.input_ids.size());
  }
  return static_cast<std::int64_t>(longest);
}

// What a library's attention wants beside the plan's own parts.
std::int64_t attention_scratch(const TrainingShape& s, const LlamaModel& model) {
  const LlamaConfig& c = model.config;
  const DecoderLayer& layer = model.layers.at(0);
  return ops::attention_scratch(
      model.device(), {s.B, s.T, s.T, c.num_attention_heads, c.num_key_value_heads, c.head_dim},
      s.arithmetic, layer.o.room(), layer.qkv.room());
}

// What could be done where memory ran out, and what of the run is kept.
std::string advice(const TrainOptions& o, const TrainingShape& shape, std::int64_t available) {
  std::string line = memory_shortage(shape, available);
  if (line.empty()) {
    line = "a step of training needs " + readable_bytes(training_memory(shape).total());
    if (!o.training.eval_data.empty()) line += ": try a smaller --per-device-eval-batch-size";
  }
  const std::string& folder = o.training.output_dir;
  const auto kept = folder.empty() ? std::nullopt : newest_checkpoint(folder);
  return "; " + line + (kept ? "; " + *kept + " is kept" : "");
}

}  // namespace

void write_adapter_of(const LlamaModel& model, const LoraConfig& lora, const std::string& folder) {
  write_adapter(folder, saved_form(model, lora));
}

TrainingResult train_with_progress(TrainingTask& task, const LoraConfig& lora,
                                   const std::optional<std::string>& resume_from, StepSpeed speed,
                                   Json* results) {
  const bool others = task.processes != nullptr && !task.processes->is_first();
  std::optional<FolderToFill> results_folder;
  if (!others) results_folder.emplace(task.output_dir);
  note_stop_signals();
  task.save_model = [&](const std::string& folder) { write_adapter_of(task.model, lora, folder); };
  std::optional<Progress> progress;  // its clock begins behind the first step that this run makes
  Series losses{"each step", {}, {}, false, false};
  TrainingEvents events;
  std::string last;
  events.on_step = [&](const StepReport& r) {
    losses.x.push_back(static_cast<double>(r.step));
    losses.y.push_back(r.loss);
    if (!progress) progress.emplace("train", r.total_steps, "steps", r.step);
    speed.add(r);
    last = fmt::format("loss {:.4f}  lr {:.1e}  {}", r.loss, r.learning_rate, speed.last(r));
    progress->update(r.step, [&] { return last; });
  };
  events.stop_signal = stop_signal;
  const TrainingResult result = train(task, events, resume_from);
  if (progress) progress->finish(last);
  if (results != nullptr) speed.summarize(task.model.device(), *results);
  if (others) return result;
  if (result.stopped_by == 0) write_adapter_of(task.model, lora, task.output_dir);
  write_loss_figure(task.output_dir + "/loss.svg", losses, result.state.log_history);
  write_atomically(task.output_dir + "/trainer_state.json",
                   to_json(result.state).dump(2, true) + "\n");
  return result;
}

namespace {

// An adapter that training goes on with brings its own configuration, which is saved with it again.
void go_on_with_adapter(TrainOptions& o) {
  const std::vector<std::string>& adapters = o.model.adapters;
  if (adapters.empty()) return;
  if (adapters.size() > 1) throw UsageError("--adapter: training goes on with one, not several");
  o.training.lora = read_adapter(adapters.front()).config;
}

// The run itself. `shape` becomes that of its longest rows once they are known.
int train_and_save(TrainOptions& o, const std::string& command, TrainingShape& shape,
                   Processes& processes) {
  TrainingOptions& t = o.training;
  if (t.output_dir.empty())
    t.output_dir = default_output_dir(t.run_name, processes.largest(std::time(nullptr)));
  // What can be wrong and needs no weights comes before them: they may take minutes.
  const Rows rows = rows_of(o, shape.config);
  const std::optional<std::string> checkpoint = checkpoint_to_resume(t);
  if (checkpoint) check_checkpoint(*checkpoint, rows.train.examples, t.arguments);
  if (processes.is_first()) const FolderToFill can_be_made(t.output_dir);
  LlamaModel model = adapted_model(o);
  shape.T = longest_of(rows);
  shape.arithmetic = model.arithmetic();
  shape.attention_scratch = attention_scratch(shape, model);
  const auto parameters = adapter_parameters(model);
  std::int64_t trainable = 0;
  for (const Parameter& p : parameters) trainable += p.value.numel();
  fmt::print("base: {}; {} trainable parameters\n", base_format(model), grouped(trainable));
  TrainingTask task{model,       parameters,  rows.train.examples, rows.eval.examples,
                    rows.pad_id, t.arguments, t.output_dir,        {}};
  task.arena_bytes = training_memory(shape).arena;
  task.processes = &processes;
  if (processes.size() > 1) {
    const std::int64_t all = t.arguments.gradient_accumulation_steps;
    fmt::print("{} processes: each step has {} micro-batches of {} rows, {} of each process\n",
               processes.size(), all, t.arguments.per_device_train_batch_size,
               all / processes.size());
  }
  task.timeline = o.profile && model.device() == Device::cuda;
  if (o.profile && !task.timeline) fmt::print("--profile is of a GPU: this run is on the CPU\n");
  Json j = Json::object();
  const TrainingResult result = train_with_progress(
      task, t.lora, checkpoint, StepSpeed(StepSpeed::floor_of(shape), processes.size()), &j);
  if (result.stopped_by != 0) {
    if (processes.is_first()) {
      fmt::print(stderr, "stopped after step {}; to go on: {} --resume-from-checkpoint {}\n",
                 result.steps, command, result.last_checkpoint);
    }
    return 128 + result.stopped_by;
  }
  fmt::print("mean loss {:.4f} over {} steps, {} tokens in {:.1f} s; adapter: {}\n",
             result.train_loss, result.steps, grouped(result.tokens), result.seconds, t.output_dir);
  j["train_loss"] = result.train_loss;
  j["steps"] = result.steps;
  j["tokens"] = result.tokens;
  j["seconds"] = result.seconds;
  j["output_dir"] = t.output_dir;
  write_results(o.json, j);
  return 0;
}

// The GPUs that processes of this host would share; 0: they compute on the CPU.
int gpus_for(const ModelOptions& o) {
  if (o.device == "cpu") return 0;
  const int gpus = ops::gpu_count();
  if (o.device == "cuda" && gpus == 0) ops::gpu_name();  // says why there is none
  return gpus;
}

}  // namespace

int run_train(TrainOptions& o, const std::string& command) {
  const std::optional<ProcessPlace> place = place_in_environment();
  if (!o.ids.empty() && (place || o.num_processes > 1)) {
    throw UsageError("--ids is one pass of one process; several share the steps of a run");
  }
  if (!place && o.num_processes > 1) return launch_processes(o.num_processes, gpus_for(o.model));
  settle(o.model);
  settle(o.training);
  if (o.training.output_dir.empty()) default_output_dir(o.training.run_name, 0);  // is it a name?
  if (place && o.model.device != "cpu") ops::choose_gpu(place->local_rank);
  if (wanted_device(o.model) == Device::cuda) ops::gpu_name();  // where there is none, this says so
  const std::unique_ptr<Processes> processes = meet_processes(place, o.num_processes);
  o.training.arguments.gradient_accumulation_steps *= processes->size();
  if (o.ids.empty()) require_rows(o);
  default_to_nf4(o.model);
  go_on_with_adapter(o);
  const std::optional<std::int64_t> limit = o.training.memory_limit;
  TrainingShape shape = training_shape(o.model, o.training);
  require_memory(shape, limit.value_or(std::numeric_limits<std::int64_t>::max()));
  if (limit) ops::limit_gpu_memory(*limit);
  try {
    return o.ids.empty() ? train_and_save(o, command, shape, *processes) : dump_gradients(o);
  } catch (const MemoryRanOut& e) {
    if (!o.ids.empty()) throw;
    throw MachineLacks(e.what() + advice(o, shape, e.available()));
  }
}

}  // namespace qlora
