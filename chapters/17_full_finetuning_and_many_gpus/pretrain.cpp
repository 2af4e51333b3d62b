#include "pretrain.h"

#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <memory>

#include "core/error.h"
#include "core/files.h"
#include "core/stop_signal.h"
#include "course/progress.h"
#include "course/provenance.h"
#include "course/svg.h"
#include "held_out.h"
#include "llama/load.h"
#include "support/launch.h"
#include "support/training_log.h"
#include "text/sentencepiece_training.h"
#include "training/evaluation_loss.h"
#include "training/pretraining.h"
#include "training/trainer.h"

namespace qlora {
namespace {

namespace fs = std::filesystem;

struct Blocks {
  std::vector<TokenizedExample> train, held_out;
};

Blocks blocks_of_corpus(const Corpus& corpus, const Tokenizer& tokenizer, std::int64_t length) {
  const chapter17::SplitCorpus parts = chapter17::split(corpus);
  return {blocks_of(parts.train, tokenizer, length), blocks_of(parts.held_out, tokenizer, length)};
}

Json recipe(const PretrainOptions& o, const Corpus& corpus, const Blocks& blocks) {
  Json j = Json::object();
  for (const CorpusPart& part : corpus.parts) {
    Json p = Json::object();
    p["name"] = part.name;
    p["documents"] = part.documents;
    p["bytes"] = part.bytes;
    j["corpus"].push_back(p);
  }
  j["training_tokens"] = static_cast<std::int64_t>(blocks.train.size()) * o.block_length;
  j["held_out_tokens"] = static_cast<std::int64_t>(blocks.held_out.size()) * o.block_length;
  j["max_steps"] = o.max_steps;
  j["batch_size"] = o.batch_size;
  j["block_length"] = o.block_length;
  j["learning_rate"] = o.learning_rate;
  j["seed"] = static_cast<std::int64_t>(o.seed);
  return j;
}

// However many processes take turns with them, a step has batch_size blocks, and the same ones.
TrainingArguments arguments_of(const PretrainOptions& o, const Processes& processes) {
  TrainingArguments a;
  a.learning_rate = o.learning_rate;
  a.lr_scheduler_type = LrScheduler::cosine;
  a.warmup_steps = 0.03;
  a.per_device_train_batch_size = o.batch_size / processes.size();
  a.gradient_accumulation_steps = processes.size();
  a.max_steps = o.max_steps;
  a.weight_decay = 0.1;
  a.adam_beta2 = 0.95;
  a.logging_steps = std::min<std::int64_t>(100, o.max_steps);
  a.save_steps = o.save_steps;
  a.save_total_limit = 1;
  a.seed = o.seed;
  return a;
}

void write_loss_figure(const std::string& path, const Json& log_history) {
  write_svg(path, LineChart{"Pre-training loss",
                            "optimizer step",
                            "cross-entropy (nats a token)",
                            false,
                            false,
                            {logged(log_history, "loss", "")}});
}

// The folder's tokenizer; where it is to be learned, the first process does that for all.
Tokenizer learned_tokenizer(const PretrainOptions& o, const Corpus& corpus,
                            const Processes& processes) {
  if (processes.is_first()) {
    make_folder(o.output_dir);
    if (o.train_tokenizer) {
      write_atomically((fs::path(o.output_dir) / "tokenizer.model").string(),
                       train_sentencepiece(corpus.documents));
    }
  }
  processes.largest(0);  // the others wait
  return Tokenizer::load(o.output_dir);
}

TrainingResult train_all_weights(const PretrainOptions& o, LlamaModel& model, const Blocks& blocks,
                                 std::int32_t pad_id, Processes& processes) {
  TrainingTask task{model,
                    enable_full_training(model),
                    blocks.train,
                    {},
                    pad_id,
                    arguments_of(o, processes),
                    o.output_dir + "/checkpoints",
                    [&](const std::string& folder) { save_model(folder, model, DType::f32); }};
  task.processes = &processes;
  std::optional<std::string> checkpoint;
  if (o.resume) checkpoint = newest_checkpoint(task.output_dir);
  Progress progress("pretrain", o.max_steps, "steps");
  TrainingEvents events;
  events.on_step = [&](const StepReport& r) {
    progress.update(r.step, [&] {
      return fmt::format("loss {:.4f}  lr {:.2e}  {:.0f} tokens/s", r.loss, r.learning_rate,
                         r.tokens_per_second);
    });
  };
  note_stop_signals();
  events.stop_signal = stop_signal;
  TrainingResult result = train(task, events, checkpoint);
  progress.finish();
  return result;
}

// The loss of what was written: weights rounded to bfloat16. The processes share the blocks.
double held_out_loss(const PretrainOptions& o, const Blocks& blocks, std::int32_t pad_id,
                     Processes& processes) {
  processes.largest(0);  // the first has written them
  LlamaModel written = load_model(o.output_dir);
  written.reserve_positions(o.block_length);
  Arena arena;
  return evaluation_loss(written, blocks.held_out, o.batch_size, pad_id, arena, &processes);
}

// The mean loss that was logged last; null where none was.
Json last_loss(const Json& log_history) {
  const Series losses = logged(log_history, "loss", "");
  return losses.y.empty() ? Json() : Json(losses.y.back());
}

void write_log(const PretrainOptions& o, Json report, const TrainingResult& result,
               double held_out) {
  report["tokens_seen"] = result.tokens;
  report["seconds"] = result.seconds;
  report["tokens_per_second"] = static_cast<double>(result.tokens) / result.seconds;
  report["train_loss_of_the_last_100_steps"] = last_loss(result.state.log_history);
  report["held_out_loss"] = held_out;
  report["provenance"] = json(provenance());
  report["log_history"] = result.state.log_history;
  write_atomically(o.output_dir + "/pretraining.json", report.dump(1) + "\n");
  write_loss_figure(o.output_dir + "/pretraining_loss.svg", result.state.log_history);
}

}  // namespace

int pretrain(const PretrainOptions& o) {
  const std::optional<ProcessPlace> place = place_in_environment();
  const std::int64_t count = place ? place->size : o.num_processes;
  if (count > 1 && o.batch_size % count != 0) {
    throw UsageError(fmt::format("--batch-size {} cannot be shared equally by {} processes",
                                 o.batch_size, count));
  }
  if (!place && count > 1) return launch_processes(count, 0);
  const std::unique_ptr<Processes> processes = meet_processes(place, o.num_processes);

  fmt::print("{}\n", one_line(provenance()));
  const Corpus corpus = build_corpus(o.sources);
  const Tokenizer tokenizer = learned_tokenizer(o, corpus, *processes);
  const Blocks blocks = blocks_of_corpus(corpus, tokenizer, o.block_length);
  const Json report = recipe(o, corpus, blocks);
  fmt::print("text: {} documents, {} tokens for training, {} held out\n", corpus.documents.size(),
             report.at("training_tokens").as_integer(), report.at("held_out_tokens").as_integer());
  LlamaModel model = random_model(tiny_llama_config(tokenizer), o.seed);
  fmt::print("model: {} parameters\n", model.config.parameter_count());
  const TrainingResult result =
      train_all_weights(o, model, blocks, tokenizer.padding(), *processes);
  if (result.stopped_by != 0) {
    if (processes->is_first()) {
      fmt::print(stderr, "stopped after step {}; to go on, the same command with --resume\n",
                 result.steps);
    }
    return 128 + result.stopped_by;
  }
  if (processes->is_first()) save_model(o.output_dir, model, DType::bf16);
  const double held_out = held_out_loss(o, blocks, tokenizer.padding(), *processes);
  if (processes->is_first()) write_log(o, report, result, held_out);
  fmt::print("held-out loss {:.4f}; wrote {}\n", held_out, o.output_dir);
  return 0;
}

}  // namespace qlora
