// Chapter 12: QLoRA fine-tuning. Without a verb the main job; `train` is the tool, `experiment`
// what the lesson's questions are answered by.
#include <deque>

#include "claims.h"
#include "course/lesson.h"
#include "course/run.h"
#include "experiments.h"
#include "figures.h"
#include "lesson.h"
#include "main_job.h"
#include "train.h"

int main(int argc, char** argv) {
  using namespace qlora;
  std::string command;  // as it was typed, without what it was resumed from
  for (int i = 0; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--resume-from-checkpoint") {
      ++i;
    } else {
      command += (command.empty() ? "" : " ") + word;
    }
  }
  Options options("ch12_qlora_finetuning",
                  "QLoRA fine-tuning. Without a verb: the embedded model learns prices.");
  MainJobOptions m;
  m.command = command;
  options.add("--output-dir", m.output_dir, "where report, figure and adapter go")
      .value_name("DIR");
  options.add("--test-data", m.test_data, "other test items (ch14_evaluation items)")
      .value_name("FILE");
  options.add("--model", m.model, "another base; default: the embedded one").value_name("DIR");
  add_price_options(options, m.run);
  options.add("--seed", m.run.seed, "of the order of items, of A and of the intervals").at_least(0);
  options.add("--with-random-base", m.with_random_base,
              "the same tuning on random weights beside it");
  LessonOptions lesson;
  add_lesson_options(options, lesson);
  options.action([&] {
    const MainJobResult job = run_main_job(m);
    if (job.stopped_by != 0) return 128 + job.stopped_by;
    run_lesson({QLORA_CHAPTER_DIR, [&](const Ledger&) { return chapter12::tell(job); },
                [](Ledger& ledger) { chapter12::fill_claims(ledger); },
                [&](const std::string& folder) { chapter12::draw(folder, job); }},
               lesson);
    return 0;
  });

  std::deque<chapter12::ExperimentCommand> experiments;
  chapter12::add_experiments(options, experiments);

  TrainOptions t;
  Options& train = options.verb("train", "Fine-tunes a model folder on your data.");
  add_model_options(train, t.model);
  add_bitsandbytes_options(train, t.model);
  add_adapter_option(train, t.model);
  add_training_options(train, t.training);
  train
      .add("--date-string", t.date_string,
           "the day that Llama 3.1's and 3.2's chat template names; default: its own, 26 Jul 2024")
      .value_name("TEXT");
  train.add("--ids", t.ids, "token ids instead of data, for --dump-gradients").value_name("FILE");
  train.add("--dump-gradients", t.dump_gradients, "write one pass's loss and gradients")
      .value_name("FILE");
  train
      .add("--num-processes", t.num_processes,
           "so many processes on this host share each step, on GPUs one each")
      .at_least(1);
  train.add("--profile", t.profile,
            "where the time of a step goes on a GPU, part by part, beside the least it could take");
  train.add("--json", t.json, "write the results there").value_name("FILE");
  train.action([&] { return run_train(t, command); });
  return run(argc, argv, options);
}
