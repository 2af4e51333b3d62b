#include "course/provenance.h"
#include "course/run.h"
#include "pretrain.h"

int main(int argc, char** argv) {
  using namespace qlora;
  Options options("ch17_full_finetuning_and_many_gpus",
                  "Training every weight: how the embedded model was made.");
  std::string results;
  options.add("--json", results, "write the figures there").value_name("FILE");
  options.action([&] { write_results(results, print_model_card()); });

  PretrainOptions o;
  Options& verb = options.verb("pretrain", "Pre-trains the embedded model from Debian's texts.");
  verb.add("--output-dir", o.output_dir, "the model folder to write").required().value_name("DIR");
  verb.add("--wordnet", o.sources.wordnet, "folder of WordNet's data files").value_name("DIR");
  verb.add("--bible", o.sources.bible, "text of the King James Bible; default: ask `bible`")
      .value_name("FILE");
  verb.add("--train-tokenizer", o.train_tokenizer, "train the SentencePiece vocabulary anew");
  verb.add("--max-steps", o.max_steps, "optimizer steps").at_least(200);
  verb.add("--batch-size", o.batch_size, "blocks a step").at_least(1);
  verb.add("--block-length", o.block_length, "tokens a block").at_least(2);
  verb.add("--learning-rate", o.learning_rate, "at its peak");
  verb.add("--save-steps", o.save_steps, "steps between checkpoints").at_least(1);
  verb.add("--resume", o.resume, "go on from the newest checkpoint in the folder");
  verb.action([&] { return pretrain(o); });
  return run(argc, argv, options);
}
