#include "pretrain.h"

#include <fmt/format.h>

#include <cstdio>
#include <filesystem>

#include "core/files.h"
#include "course/progress.h"
#include "course/provenance.h"
#include "course/svg.h"
#include "llama/load.h"
#include "text/sentencepiece_training.h"
#include "training/evaluation_loss.h"
#include "training/pretraining.h"
#include "training/trainer.h"

namespace qlora {
namespace {

namespace fs = std::filesystem;

// Every 50th document is held out: its loss says what was learned, not what was remembered.
constexpr std::size_t kHeldOutEvery = 50;

struct Blocks {
  std::vector<TokenizedExample> train, held_out;
};

Blocks split_blocks(const Corpus& corpus, const Tokenizer& tokenizer, std::int64_t length) {
  std::vector<std::string> train, held_out;
  for (std::size_t i = 0; i < corpus.documents.size(); ++i) {
    (i % kHeldOutEvery == 0 ? held_out : train).push_back(corpus.documents[i]);
  }
  return {blocks_of(train, tokenizer, length), blocks_of(held_out, tokenizer, length)};
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

TrainingArguments arguments_of(const PretrainOptions& o) {
  TrainingArguments a;
  a.learning_rate = o.learning_rate;
  a.lr_scheduler_type = LrScheduler::cosine;
  a.warmup_steps = 0.03;
  a.per_device_train_batch_size = o.batch_size;
  a.max_steps = o.max_steps;
  a.weight_decay = 0.1;
  a.adam_beta2 = 0.95;
  a.logging_steps = 100;
  a.save_steps = o.save_steps;
  a.save_total_limit = 1;
  a.seed = o.seed;
  return a;
}

void write_loss_figure(const std::string& path, const Json& log_history) {
  Series loss;
  for (const Json& entry : log_history.as_array()) {
    if (const Json* value = entry.find("loss")) {
      loss.x.push_back(entry.at("step").as_number());
      loss.y.push_back(value->as_number());
    }
  }
  write_svg(path, LineChart{"Pre-training loss",
                            "optimizer step",
                            "cross-entropy (nats a token)",
                            false,
                            false,
                            {loss}});
}

}  // namespace

int pretrain(const PretrainOptions& o) {
  make_folder(o.output_dir);
  fmt::print("{}\n", one_line(provenance()));
  const Corpus corpus = build_corpus(o.sources);
  const std::string tokenizer_file = (fs::path(o.output_dir) / "tokenizer.model").string();
  if (o.train_tokenizer) write_atomically(tokenizer_file, train_sentencepiece(corpus.documents));
  const Tokenizer tokenizer = Tokenizer::load(o.output_dir);
  const Blocks blocks = split_blocks(corpus, tokenizer, o.block_length);
  Json report = recipe(o, corpus, blocks);
  fmt::print("text: {} documents, {} tokens for training, {} held out\n", corpus.documents.size(),
             report.at("training_tokens").as_integer(), report.at("held_out_tokens").as_integer());

  LlamaModel model = random_model(tiny_llama_config(tokenizer), o.seed);
  fmt::print("model: {} parameters\n", model.config.parameter_count());
  TrainingTask task{model,
                    enable_full_training(model),
                    blocks.train,
                    {},
                    tokenizer.padding(),
                    arguments_of(o),
                    o.output_dir + "/checkpoints",
                    [&](const std::string& folder) { save_model(folder, model, DType::f32); }};
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
  const TrainingResult result = train(task, events, checkpoint);
  progress.finish();

  save_model(o.output_dir, model, DType::bf16);
  // What is reported is measured on what was written: weights rounded to bfloat16.
  LlamaModel written = load_model(o.output_dir);
  written.reserve_positions(o.block_length);
  Arena arena;
  const double held_out =
      evaluation_loss(written, blocks.held_out, o.batch_size, tokenizer.padding(), arena);
  report["tokens_seen"] = result.tokens;
  report["seconds"] = result.seconds;
  report["tokens_per_second"] = static_cast<double>(result.tokens) / result.seconds;
  report["train_loss_of_the_last_100_steps"] =
      result.state.log_history.as_array().rbegin()[1].at("loss");
  report["held_out_loss"] = held_out;
  report["provenance"] = json(provenance());
  report["log_history"] = result.state.log_history;
  write_atomically(o.output_dir + "/pretraining.json", report.dump(1) + "\n");
  write_loss_figure(o.output_dir + "/pretraining_loss.svg", result.state.log_history);
  fmt::print("held-out loss {:.4f}; wrote {}\n", held_out, o.output_dir);
  return 0;
}

}  // namespace qlora
