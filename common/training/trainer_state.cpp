#include "training/trainer_state.h"

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "checkpoint/safetensors.h"
#include "core/error.h"
#include "core/files.h"
#include "ops/device_memory.h"

namespace qlora {
namespace {

namespace fs = std::filesystem;

// The settings that decide the numbers of a run: a resumed run must have the same.
Json fingerprint(const TrainingArguments& a) {
  Json j = Json::object();
  j["learning_rate"] = a.learning_rate;
  j["lr_scheduler_type"] = static_cast<std::int64_t>(a.lr_scheduler_type);
  j["warmup_steps"] = a.warmup_steps;
  j["per_device_train_batch_size"] = a.per_device_train_batch_size;
  j["gradient_accumulation_steps"] = a.gradient_accumulation_steps;
  j["weight_decay"] = a.weight_decay;
  j["adam_beta1"] = a.adam_beta1;
  j["adam_beta2"] = a.adam_beta2;
  j["adam_epsilon"] = a.adam_epsilon;
  j["max_grad_norm"] = a.max_grad_norm;
  j["optim"] = a.optim == Optim::adamw_8bit ? "adamw_8bit" : "adamw_torch";
  j["group_by_length"] = a.group_by_length;
  j["seed"] = static_cast<std::int64_t>(a.seed);
  return j;
}

template <typename T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json();
}

void copy_values(const SafetensorsFile& file, const std::string& name, const Tensor& to) {
  const Tensor from = file.tensor(name);
  if (from.dtype() != to.dtype() || from.shape() != to.shape()) {
    throw BadInput(file.path(), name,
                   "is " + std::string(safetensors_name(from.dtype())) + to_string(from.shape()) +
                       ", this run needs " + std::string(safetensors_name(to.dtype())) +
                       to_string(to.shape()));
  }
  ops::copy(from, to);
}

// Checkpoint folders with their steps, in the order of the steps.
std::vector<std::pair<std::int64_t, std::string>> checkpoints(const std::string& output_dir) {
  std::vector<std::pair<std::int64_t, std::string>> found;
  if (!fs::is_directory(output_dir)) return found;
  for (const auto& entry : fs::directory_iterator(output_dir)) {
    const std::string name = entry.path().filename().string();
    const std::string prefix = "checkpoint-";
    if (!entry.is_directory() || name.rfind(prefix, 0) != 0) continue;
    const std::string digits = name.substr(prefix.size());
    if (digits.empty() || digits.size() > 15 ||
        digits.find_first_not_of("0123456789") != std::string::npos) {
      continue;
    }
    found.emplace_back(std::stoll(digits), entry.path().string());
  }
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace

Json to_json(const TrainerState& s) {
  Json j = Json::object();
  j["best_global_step"] = or_null(s.best_global_step);
  j["best_metric"] = or_null(s.best_metric);
  j["best_model_checkpoint"] = or_null(s.best_model_checkpoint);
  j["epoch"] = s.epoch;
  j["eval_steps"] = s.eval_steps;
  j["global_step"] = s.global_step;
  j["is_hyper_param_search"] = false;
  j["is_local_process_zero"] = true;
  j["is_world_process_zero"] = true;
  j["log_history"] = s.log_history;
  j["logging_steps"] = s.logging_steps;
  j["max_steps"] = s.max_steps;
  j["num_input_tokens_seen"] = s.num_input_tokens_seen;
  j["num_train_epochs"] = s.num_train_epochs;
  j["save_steps"] = s.save_steps;
  j["train_batch_size"] = s.train_batch_size;
  j["trial_name"] = Json();
  j["trial_params"] = Json();
  return j;
}

std::string checkpoint_folder(const std::string& output_dir, std::int64_t step) {
  return (fs::path(output_dir) / ("checkpoint-" + std::to_string(step))).string();
}

std::optional<std::string> newest_checkpoint(const std::string& output_dir) {
  const auto found = checkpoints(output_dir);
  return found.empty() ? std::nullopt : std::optional(found.back().second);
}

void save_checkpoint(const std::string& folder, const TrainingArguments& arguments,
                     const AdamW& optimizer, const TrainerState& state,
                     const std::function<void(const std::string&)>& save_model) {
  write_folder_atomically(folder, [&](const std::string& unfinished) {
    const fs::path inside(unfinished);
    if (save_model) save_model(unfinished);
    NamedTensors tensors;
    for (const auto& [name, tensor] : optimizer.state()) {
      tensors.emplace_back(name, ops::on(Device::cpu, tensor));
    }
    write_safetensors((inside / "optimizer.safetensors").string(), tensors);
    Json resume = Json::object();
    resume["optimizer_steps"] = optimizer.steps();
    resume["loss_sum"] = state.loss_sum;
    resume["loss_since_log"] = state.loss_since_log;
    resume["steps_since_log"] = state.steps_since_log;
    resume["train_seconds"] = state.train_seconds;
    resume["loss_scale"] = state.loss_scale.value;
    resume["loss_scale_good_steps"] = state.loss_scale.good_steps;
    resume["train_rows"] = state.train_rows;
    resume["train_tokens"] = state.train_tokens;
    resume["settings"] = fingerprint(arguments);
    write_atomically((inside / "resume.json").string(), resume.dump(2) + "\n");
    write_atomically((inside / "trainer_state.json").string(), to_json(state).dump(2, true) + "\n");
  });
}

void load_parameters(const std::string& folder, const std::vector<Parameter>& parameters) {
  const auto file = SafetensorsFile::open((fs::path(folder) / "optimizer.safetensors").string());
  for (const Parameter& p : parameters) copy_values(file, p.name, p.value);
}

std::int64_t load_state(const std::string& folder, const TrainingArguments& arguments,
                        TrainerState& state) {
  const fs::path inside(folder);
  const Json resume = Json::read((inside / "resume.json").string());
  const Json saved = Json::read((inside / "trainer_state.json").string());
  const Json ours = fingerprint(arguments);
  for (const auto& [name, value] : ours.as_object()) {
    const Json& theirs = resume.at("settings").at(name);
    if (theirs.dump() != value.dump()) theirs.reject(value.dump() + ", as this run has it");
  }
  for (const auto& [name, ours_has] :
       {std::pair("train_rows", state.train_rows), std::pair("train_tokens", state.train_tokens)}) {
    if (resume.find(name) == nullptr) {
      throw BadInput((inside / "resume.json").string(), name,
                     "is missing: the checkpoint is of an older version, which did not write down "
                     "what data it had; train from the beginning");
    }
    if (resume.at(name).as_integer() != ours_has) {
      resume.at(name).reject(std::to_string(ours_has) +
                             ", as this run has with its data, --max-length and --packing");
    }
  }
  if (saved.at("max_steps").as_integer() != state.max_steps) {
    saved.at("max_steps").reject(std::to_string(state.max_steps) + " steps, as this run has");
  }
  state.global_step = saved.at("global_step").as_integer();
  if (state.global_step < 0 || state.global_step > state.max_steps) {
    saved.at("global_step").reject("a step of this run");
  }
  state.epoch = saved.at("epoch").as_number();
  state.num_input_tokens_seen = saved.at("num_input_tokens_seen").as_integer();
  state.log_history = saved.at("log_history");
  if (const Json* best = saved.find("best_metric")) state.best_metric = best->as_number();
  if (const Json* best = saved.find("best_global_step"))
    state.best_global_step = best->as_integer();
  if (const Json* best = saved.find("best_model_checkpoint")) {
    state.best_model_checkpoint = best->as_string();
  }
  state.loss_sum = resume.at("loss_sum").as_number();
  state.loss_since_log = resume.at("loss_since_log").as_number();
  state.steps_since_log = resume.at("steps_since_log").as_integer();
  state.train_seconds = resume.at("train_seconds").as_number();
  if (resume.find("loss_scale") != nullptr) {
    state.loss_scale = {resume.at("loss_scale").as_number(),
                        resume.at("loss_scale_good_steps").as_integer()};
  }
  return resume.at("optimizer_steps").as_integer();
}

void load_checkpoint(const std::string& folder, const TrainingArguments& arguments,
                     AdamW& optimizer, TrainerState& state) {
  const std::int64_t steps = load_state(folder, arguments, state);
  const auto file = SafetensorsFile::open((fs::path(folder) / "optimizer.safetensors").string());
  for (const auto& [name, tensor] : optimizer.state()) copy_values(file, name, tensor);
  optimizer.set_steps(steps);
}

void remove_old_checkpoints(const std::string& output_dir, std::int64_t limit,
                            const std::optional<std::string>& kept) {
  if (limit <= 0) return;
  const auto found = checkpoints(output_dir);
  auto excess = static_cast<std::int64_t>(found.size()) - limit;
  for (const auto& [step, folder] : found) {
    if (excess <= 0) break;
    if (kept && fs::path(folder) == fs::path(*kept)) continue;
    std::error_code ignored;
    fs::remove_all(folder, ignored);
    --excess;
  }
}

}  // namespace qlora
