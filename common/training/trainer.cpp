#include "training/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>

#include "checkpoint/safetensors.h"
#include "core/error.h"
#include "llama/decoder.h"
#include "ops/device_memory.h"
#include "text/batch.h"
#include "training/evaluation_loss.h"
#include "training/schedule.h"
#include "training/step_share.h"

namespace qlora {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Four decimals, as the log of transformers has them.
double rounded(double x) {
  return std::round(x * 1e4) / 1e4;
}

std::int64_t tokens_in(std::span<const TokenizedExample> rows) {
  std::int64_t tokens = 0;
  for (const auto& row : rows) tokens += static_cast<std::int64_t>(row.input_ids.size());
  return tokens;
}

// What a run is at its beginning.
TrainerState fresh_state(const StepPlan& plan, std::span<const TokenizedExample> train,
                         const TrainingArguments& arguments) {
  TrainerState state;
  state.max_steps = plan.total_steps();
  state.train_batch_size = arguments.per_device_train_batch_size;
  state.num_train_epochs = static_cast<std::int64_t>(std::ceil(
      static_cast<double>(plan.total_steps()) / static_cast<double>(plan.steps_per_epoch())));
  state.logging_steps = arguments.logging_steps;
  state.eval_steps = arguments.eval_steps;
  state.save_steps = arguments.save_steps;
  state.train_rows = static_cast<std::int64_t>(train.size());
  state.train_tokens = tokens_in(train);
  return state;
}

// A run in progress.
class Run {
 public:
  Run(TrainingTask& task, const TrainingEvents& events, Processes& processes)
      : task_(task),
        events_(events),
        processes_(processes),
        plan_(task.train, task.arguments),
        optimizer_(task.parameters, task.arguments),
        state_(fresh_state(plan_, task.train, task.arguments)),
        arena_(ops::arena_on(task.model.device())),
        losses_(ops::empty_on(task.model.device(), DType::f64,
                              {task.arguments.gradient_accumulation_steps})) {
    task_.model.reserve_positions(std::max(positions_in(task.train), positions_in(task.eval)));
    if (task.arena_bytes > 0) arena_.reserve(static_cast<std::size_t>(task.arena_bytes));
    state_.loss_scale = LossScale::of(task.model.arithmetic());
  }

  void resume(const std::string& folder) {
    load_checkpoint(folder, task_.arguments, optimizer_, state_);
    last_checkpoint_ = folder;
  }

  TrainingResult to_the_end();

 private:
  StepReport one_step();
  double loss_of_step(std::span<const std::vector<std::int64_t>> micro_batches) const;
  void after_step(const StepReport& report);
  void log(Json entry);
  void evaluate();
  void save();
  bool due(std::int64_t every) const { return every > 0 && state_.global_step % every == 0; }
  bool epoch_is_over() const {
    return due(plan_.steps_per_epoch()) || state_.global_step == plan_.total_steps();
  }
  bool save_is_due() const;
  [[noreturn]] void not_finite(double loss, std::span<const std::int64_t> rows) const;

  TrainingTask& task_;
  const TrainingEvents& events_;
  Processes& processes_;
  StepPlan plan_;
  AdamW optimizer_;
  TrainerState state_;
  Arena arena_;
  Tensor losses_;  // F64, Σ loss of each micro-batch of a step, on the model's device
  Clock::time_point start_ = Clock::now();
  std::int64_t tokens_ = 0;  // since start_
  std::string last_checkpoint_;
};

StepReport Run::one_step() {
  const Clock::time_point start = Clock::now();
  if (task_.timeline) ops::start_timeline();
  const TrainingArguments& args = task_.arguments;
  const std::int64_t step = state_.global_step;
  const auto micro_batches = plan_.micro_batches(step);
  const StepShare share =
      share_of_step(task_.train, micro_batches, processes_.rank(), processes_.size());
  optimizer_.zero_gradients();
  ops::fill_bytes(losses_, 0);
  for (const std::int64_t i : share.own) {
    const auto micro = static_cast<std::uint64_t>(step * args.gradient_accumulation_steps + i);
    const TrainingPass pass{
        {true, args.seed, micro}, args.activations, gradient_scale(share, state_.loss_scale.value)};
    const Batch batch =
        collate(task_.train, micro_batches[static_cast<std::size_t>(i)], task_.pad_id);
    loss_backward(task_.model, batch, pass, arena_, losses_.rows(i, i + 1));
  }
  processes_.sum(optimizer_.gradients());
  processes_.sum(std::span(&losses_, 1));
  // A step that overflowed was none (torch: optimizer_step_was_skipped): the schedule waits too.
  const double rate =
      args.learning_rate * lr_factor(args.lr_scheduler_type, optimizer_.steps(),
                                     warmup_steps(args.warmup_steps, plan_.total_steps()),
                                     plan_.total_steps());
  optimizer_.step(rate, state_.loss_scale.value);
  const double loss = loss_of_step(micro_batches) / static_cast<double>(share.supervised);
  const double norm = optimizer_.gradient_norm();
  if (!state_.loss_scale.after_step(std::isfinite(norm), task_.model.arithmetic())) {
    not_finite(norm, micro_batches.back());
  }
  ++state_.global_step;
  state_.epoch = plan_.epoch_after(state_.global_step);
  state_.num_input_tokens_seen += share.tokens;
  tokens_ += share.tokens;
  const double seconds = seconds_since(start);
  return {state_.global_step,
          plan_.total_steps(),
          state_.epoch,
          loss,
          rate,
          norm,
          share.tokens,
          static_cast<double>(tokens_) / seconds_since(start_),
          seconds,
          task_.timeline ? ops::take_timeline() : std::vector<ops::PartTime>()};
}

// Σ loss of the step: the first thing that waits for the device.
double Run::loss_of_step(std::span<const std::vector<std::int64_t>> micro_batches) const {
  const Tensor losses = ops::host_copy(losses_);
  double loss = 0;
  for (std::size_t i = 0; i < micro_batches.size(); ++i) {
    loss += losses.data<double>()[i];
    if (!std::isfinite(loss)) not_finite(loss, micro_batches[i]);
  }
  return loss;
}

void Run::log(Json entry) {
  entry["epoch"] = rounded(state_.epoch);
  entry["step"] = state_.global_step;
  state_.log_history.push_back(entry);
  if (events_.on_log) events_.on_log(entry);
}

void Run::after_step(const StepReport& report) {
  state_.loss_sum += report.loss;
  state_.loss_since_log += report.loss;
  ++state_.steps_since_log;
  if (events_.on_step) events_.on_step(report);
  if (due(task_.arguments.logging_steps)) {
    Json entry;
    entry["loss"] = rounded(state_.loss_since_log / static_cast<double>(state_.steps_since_log));
    entry["grad_norm"] = report.grad_norm;
    entry["learning_rate"] = report.learning_rate;
    state_.loss_since_log = 0;
    state_.steps_since_log = 0;
    log(entry);
  }
  const bool evaluation_is_due =
      due(task_.arguments.eval_steps) || (task_.arguments.eval_each_epoch && epoch_is_over());
  if (evaluation_is_due && !task_.eval.empty()) evaluate();
}

void Run::evaluate() {
  const double loss =
      evaluation_loss(task_.model, task_.eval, task_.arguments.per_device_eval_batch_size,
                      task_.pad_id, arena_, &processes_);
  Json entry;
  entry["eval_loss"] = loss;
  log(entry);
  if (!state_.best_metric || loss < *state_.best_metric) {
    state_.best_metric = loss;
    state_.best_global_step = state_.global_step;
    // The best weights must be there to come back to.
    if (task_.arguments.load_best_model_at_end && !task_.output_dir.empty()) {
      state_.best_model_checkpoint = checkpoint_folder(task_.output_dir, state_.global_step);
      save();
    }
  }
}

bool Run::save_is_due() const {
  switch (task_.arguments.save_strategy) {
    case SaveStrategy::no:
      return false;
    case SaveStrategy::steps:
      return due(task_.arguments.save_steps) || state_.global_step == plan_.total_steps();
    case SaveStrategy::epoch:
      return epoch_is_over();
  }
  return false;
}

void Run::not_finite(double loss, std::span<const std::int64_t> rows) const {
  std::string list;
  for (std::int64_t r : rows) list += (list.empty() ? "" : ", ") + std::to_string(r);
  throw Error(ExitCode::check_failed,
              "the loss became " + std::to_string(loss) + " at step " +
                  std::to_string(state_.global_step + 1) + " (rows " + list +
                  " of those trained on, counted from 0); " +
                  (last_checkpoint_.empty() ? "this run has written no checkpoint"
                                            : last_checkpoint_ + " is kept"));
}

void Run::save() {
  if (task_.output_dir.empty()) return;
  last_checkpoint_ = checkpoint_folder(task_.output_dir, state_.global_step);
  if (!processes_.is_first()) return;
  save_checkpoint(last_checkpoint_, task_.arguments, optimizer_, state_, task_.save_model);
  remove_old_checkpoints(task_.output_dir, task_.arguments.save_total_limit,
                         state_.best_model_checkpoint);
}

TrainingResult Run::to_the_end() {
  int stopped_by = 0;
  const double seconds_before = state_.train_seconds;
  while (state_.global_step < plan_.total_steps() && stopped_by == 0) {
    const StepReport report = one_step();
    state_.train_seconds = seconds_before + seconds_since(start_);
    after_step(report);
    if (events_.stop_signal) stopped_by = events_.stop_signal();
    stopped_by = static_cast<int>(processes_.largest(stopped_by));
    const bool saved = last_checkpoint_ == checkpoint_folder(task_.output_dir, state_.global_step);
    if ((save_is_due() || stopped_by != 0) && !saved) save();
  }
  const double seconds = state_.train_seconds;
  const double train_loss =
      state_.loss_sum / static_cast<double>(std::max<std::int64_t>(1, state_.global_step));
  if (stopped_by == 0 && tokens_ > 0) {
    Json entry;
    entry["train_runtime"] = rounded(seconds);
    entry["train_samples_per_second"] =
        rounded(static_cast<double>(state_.global_step * state_.train_batch_size *
                                    task_.arguments.gradient_accumulation_steps) /
                seconds);
    entry["train_steps_per_second"] = rounded(static_cast<double>(state_.global_step) / seconds);
    entry["train_loss"] = train_loss;
    log(entry);
  }
  if (task_.arguments.load_best_model_at_end && state_.best_model_checkpoint) {
    processes_.largest(0);  // the first has written it
    load_parameters(*state_.best_model_checkpoint, task_.parameters);
  }
  return {state_.global_step, train_loss,       seconds, state_.num_input_tokens_seen,
          stopped_by,         last_checkpoint_, state_};
}

}  // namespace

TrainingResult train(TrainingTask& task, const TrainingEvents& events,
                     const std::optional<std::string>& resume_from) {
  validate(task.arguments);
  Processes alone;
  Run run(task, events, task.processes != nullptr ? *task.processes : alone);
  if (resume_from) run.resume(*resume_from);
  return run.to_the_end();
}

void check_checkpoint(const std::string& folder, std::span<const TokenizedExample> train,
                      const TrainingArguments& arguments) {
  TrainerState state = fresh_state(StepPlan(train, arguments), train, arguments);
  load_state(folder, arguments, state);
  SafetensorsFile::open((std::filesystem::path(folder) / "optimizer.safetensors").string());
}

}  // namespace qlora
