// Chapter 17: training every weight, and more than one GPU. Without a verb the lesson.
#include "claims.h"
#include "cluster.h"
#include "course/lesson.h"
#include "course/run.h"
#include "figures.h"
#include "forgetting.h"
#include "held_out.h"
#include "lesson.h"
#include "pretrain.h"

namespace qlora::chapter17 {
namespace {

void add_sources(Options& verb, CorpusSources& sources) {
  verb.add("--wordnet", sources.wordnet, "folder of WordNet's data files").value_name("DIR");
  verb.add("--bible", sources.bible, "text of the King James Bible; default: ask `bible`")
      .value_name("FILE");
  verb.add("--product-descriptions", sources.product_descriptions, "beside them").at_least(0);
}

void add_pretrain_options(Options& verb, PretrainOptions& o) {
  verb.add("--output-dir", o.output_dir, "the model folder to write").required().value_name("DIR");
  add_sources(verb, o.sources);
  verb.add("--train-tokenizer", o.train_tokenizer, "train the SentencePiece vocabulary anew");
  verb.add("--max-steps", o.max_steps, "optimizer steps").at_least(1);
  verb.add("--batch-size", o.batch_size, "blocks a step, of all processes together").at_least(1);
  verb.add("--block-length", o.block_length, "tokens a block").at_least(2);
  verb.add("--learning-rate", o.learning_rate, "at its peak");
  verb.add("--save-steps", o.save_steps, "steps between checkpoints").at_least(1);
  verb.add("--resume", o.resume, "go on from the newest checkpoint in the folder");
  verb.add("--num-processes", o.num_processes, "so many processes on this host share each step")
      .at_least(1);
}

}  // namespace
}  // namespace qlora::chapter17

int main(int argc, char** argv) {
  using namespace qlora;
  Options options("ch17_full_finetuning_and_many_gpus",
                  "Training every weight, what it forgets, and more than one GPU.");
  LessonOptions lesson;
  add_lesson_options(options, lesson);
  options.action([&] {
    run_lesson({QLORA_CHAPTER_DIR, [](const Ledger&) { return chapter17::tell(); },
                [](Ledger& ledger) { chapter17::fill_claims(ledger); }, chapter17::draw},
               lesson);
  });

  PretrainOptions p;
  Options& pretraining =
      options.verb("pretrain", "Pre-trains the embedded model from Debian's texts.");
  chapter17::add_pretrain_options(pretraining, p);
  pretraining.action([&] { return pretrain(p); });

  chapter17::HeldOutOptions h;
  Options& held_out =
      options.verb("held-out", "Writes the text that pretrain holds out, as JSON lines.");
  held_out.add("--output", h.output, "the file to write").required().value_name("FILE");
  chapter17::add_sources(held_out, h.sources);
  held_out.add("--documents", h.documents, "the first so many of them").at_least(1);
  held_out.action([&] { chapter17::write_held_out(h); });

  chapter17::ClusterOptions c;
  Options& cluster =
      options.verb("cluster", "A run on many GPUs, on paper: memory, messages, time.");
  chapter17::add_cluster_options(cluster, c);
  cluster.action([&] { chapter17::run_cluster(c); });

  chapter17::ForgettingOptions f;
  Options& experiment = options.verb("experiment", "What the lesson states, answered by runs.");
  Options& forgetting =
      experiment.verb("forgetting", "Loss on the old text after tuning on prices: full and LoRA.");
  chapter17::add_forgetting_options(forgetting, f);
  forgetting.action([&] { chapter17::run_forgetting(f); });
  return run(argc, argv, options);
}
